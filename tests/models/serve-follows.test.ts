/** The two commands together: `slipway serve` in one process swaps versions when `slipway models` in another moves their name. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { slipway } from '../converter/testing/slipway.ts';
import { eventually } from '../service/testing/raw-client.ts';
import { emptyBucket, NAME, publishVariant } from '../service/testing/versions-bucket.ts';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

let service: ChildProcess | undefined;
afterEach(() => service?.kill('SIGKILL'));

// Six processes on few cores.
it('promote and roll back while clients ask: every answer is a 200 and of one of the two versions', {
  timeout: 180_000,
}, async () => {
  const bucket = emptyBucket();
  await publishVariant(bucket, 1);
  await publishVariant(bucket, 1.3);
  const models = async (...args: string[]) => {
    const ended = await slipway(['models', ...args, '--bucket', bucket.location]);
    expect([ended.code, ended.errors]).toEqual([0, []]);
  };
  await models('promote', `${NAME}@v001`);

  const args = [
    'serve',
    NAME,
    '--bucket',
    bucket.location,
    '--port',
    '0',
    '--host',
    '127.0.0.1',
    '--poll-seconds',
    '1',
  ];
  // An empty directory, so that no config.yml of a developer has a say.
  const cwd = mkdtempSync(join(tmpdir(), 'slipway-follow-'));
  service = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  service.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  await eventually(
    () => output,
    (text) => text.includes('"msg":"ready"'),
    45_000,
  );
  const url = /"url":"([^"]+)"/.exec(output)?.[1];

  const answers = new Map<string, Set<string>>();
  const statuses = new Set<number>();
  let stopped = false;
  const client = async () => {
    while (!stopped) {
      const body = JSON.stringify({ prompt: 'Once upon a time', max_new_tokens: 40, temperature: 0 });
      const response = await fetch(`${url}/generate`, { method: 'POST', body });
      statuses.add(response.status);
      const { text, system_fingerprint: own } = (await response.json()) as {
        text: string;
        system_fingerprint: string;
      };
      answers.set(own, (answers.get(own) ?? new Set()).add(text));
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  const version = async () => ((await (await fetch(`${url}/model-info`)).json()) as { version: string }).version;
  for (const [change, expected] of [
    [['promote', `${NAME}@v002`], 'v002'],
    [['rollback', NAME], 'v001'],
  ] as const) {
    await models(...change);
    await eventually(version, (served) => served === expected, 60_000);
  }
  stopped = true;
  await clients;
  expect([...statuses]).toEqual([200]);
  expect([...answers.values()].map((texts) => texts.size)).toEqual([1, 1]);
});
