/** `slipway models pull` as a user meets it, and Ctrl-C in the middle of everything: real processes, a real hub's protocol. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HubOptions, type HubServer, startHub } from '../../services/converter/hub/testing/hub-server.ts';
import { readGolden } from '../../services/converter/testing/golden.ts';
import { filesIn, leftovers } from '../converter/testing/bucket-folder.ts';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const SECRET = 'hf_aSecretThatMustNotBeSeen';

let hub: HubServer;
let folder: string;
let running: ChildProcess[];

async function start(options: HubOptions = {}): Promise<void> {
  const { source } = await readGolden('llama-grouped-tied');
  hub = await startHub('org/tiny', options);
  const names = readdirSync(source);
  hub.commit({
    ...Object.fromEntries(names.map((name) => [name, readFileSync(join(source, name))])),
    'README.md': Buffer.from('# tiny'),
  });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-pull-'));
  running = [];
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await hub?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
  /** Resolves when this has been printed on stdout. */
  prints(text: string): Promise<void>;
}

function slipway(args: readonly string[], environment: Record<string, string> = {}): Running {
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, HF_ENDPOINT: hub.endpoint, ...environment };
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    child,
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr })),
    async prints(text) {
      const end = performance.now() + 20_000;
      while (!stdout.includes(text)) {
        if (performance.now() > end || child.exitCode !== null) throw new Error(`${text}? ${stdout} ${stderr}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
  };
}

const pullArguments = ['models', 'pull', 'org/tiny', '--name', 'tiny', '--precision', 'fp32', '--json'];
const parse = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const weightsPart = () => join(folder, 'downloads/org/tiny/model.safetensors.part');

describe('slipway models pull', () => {
  it('downloads, converts, publishes and says where it came from', async () => {
    await start({ token: SECRET });
    const { code, stdout, stderr } = await slipway(pullArguments, { HF_TOKEN_READ: SECRET }).ended;
    expect([code, stderr]).toEqual([0, '']);
    const lines = parse(stdout);
    expect(lines.at(-1)).toMatchObject({ name: 'tiny', version: 'v001', pulled: { repository: 'org/tiny' } });
    const phases = new Set(lines.slice(0, -1).map(({ event, phase }) => `${event} ${phase}`));
    expect([...phases]).toEqual(
      ['downloading', 'reading', 'converting', 'proving', 'publishing'].map((phase) => `progress ${phase}`),
    );
    const loaded = lines.findLast(({ phase }) => phase === 'downloading');
    expect(loaded).toMatchObject({ part: 1, bytes: loaded.total_bytes, files: loaded.total_files });
    expect(lines.findLast(({ phase }) => phase === 'converting')).toMatchObject({ tensors: expect.any(Number) });
    const { source } = await openFolderBucket(join(folder, 'bucket')).resolve('tiny');
    expect(source).toMatchObject({
      kind: 'hugging-face-folder',
      label: expect.stringMatching(/^org\/tiny@[0-9a-f]{12}$/),
    });
    expect(stdout + JSON.stringify(source)).not.toContain(SECRET);
  });

  it('tells people what to do about a model they may not have, without the token', async () => {
    await start({ token: 'another', gated: true });
    const { code, stdout, stderr } = await slipway(['models', 'pull', 'org/tiny'], { HF_TOKEN: SECRET }).ended;
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/slipway: .* is gated; .*with a token of the account that was given access\n$/);
    expect(stderr).not.toContain(SECRET);
  });

  it('goes on where kill -9 ended it', async () => {
    await start();
    hub.faults.push({ at: 'CDN', slow: 20 });
    const first = slipway(['models', 'pull', 'org/tiny', '--no-convert', '--json']);
    while (!existsSync(weightsPart()) || statSync(weightsPart()).size < 8192) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    first.child.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    const here = statSync(weightsPart()).size;
    // As one that is killed behind giving a file its name leaves it.
    writeFileSync(join(folder, 'downloads/org/tiny/config.json.part.json'), '{}');
    const { code, stdout, stderr } = await slipway(['models', 'pull', 'org/tiny', '--no-convert', '--json']).ended;
    expect([code, stderr]).toEqual([0, '']);
    // Beside the other files: small ones may have been asked for before or after it.
    expect(hub.log).toContainEqual(expect.stringContaining(`bytes=${here}-`));
    expect(parse(stdout).at(-1)).toMatchObject({ source: join(folder, 'downloads/org/tiny') });
    expect(filesIn(join(folder, 'downloads/org/tiny')).filter((name) => /part|lock/.test(name))).toEqual([]);
  });

  it('keeps what has come at Ctrl-C, says so, and leaves with 130', async () => {
    await start();
    hub.faults.push({ at: 'CDN', slow: 20 });
    const { child, ended } = slipway(pullArguments);
    while (!existsSync(weightsPart()) || statSync(weightsPart()).size < 8192) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([
      130,
      'interrupted: what has been downloaded is kept; the same command goes on from there\n',
    ]);
    expect(existsSync(join(folder, 'bucket'))).toBe(false);
    expect(existsSync(join(folder, 'downloads/org/tiny/.slipway-pull.lock'))).toBe(false);
    expect((await slipway(pullArguments).ended).code).toBe(0);
    expect(hub.log).toContainEqual(expect.stringMatching(/bytes=[1-9]\d*-/));
  });
});

describe('Ctrl-C in the middle of a conversion', () => {
  it.each(['reading', 'converting', 'proving'])('while %s leaves nothing behind and 130', async (phase) => {
    await start();
    const { source } = await readGolden('llama-grouped-tied');
    const convert = slipway(['convert', source, '--name', 'tiny', '--precision', 'int8', '--allow-drift', '--json']);
    await convert.prints(`"phase":"${phase}"`);
    convert.child.kill('SIGINT');
    const { code, stderr, stdout } = await convert.ended;
    expect([code, stderr]).toEqual([130, 'interrupted: nothing was published\n']);
    expect(stdout).not.toContain('"version"');
    if (existsSync(join(folder, 'bucket'))) {
      expect(leftovers(join(folder, 'bucket'))).toEqual([]);
      expect(await openFolderBucket(join(folder, 'bucket')).models()).toEqual([]);
    }
  });
});
