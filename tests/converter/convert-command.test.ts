/** `slipway convert` as a user meets it: exit codes, what is printed, being killed, a full disk, hostile files. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { convert } from '../../services/converter/convert.ts';
import { readGolden } from '../../services/converter/testing/golden.ts';
import { filesIn, leftovers, scratch } from './testing/bucket-folder.ts';
import { copyGolden } from './testing/edit-checkpoint.ts';
import { slipway } from './testing/slipway.ts';

const run = promisify(execFile);
const MALFORMED = path.join(import.meta.dirname, '../../../shared/data/malformed');

describe('slipway convert', () => {
  it('ends with one line of JSON that has the promised fields', async () => {
    const { source } = await readGolden('llama-grouped-tied');
    const bucket = await scratch();
    const { code, stdout, errors } = await slipway(['convert', source, '--name', 'm', '--bucket', bucket, '--json']);
    expect([code, errors]).toEqual([0, []]);
    const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(outcome).toMatchObject({ name: 'm', version: 'v001', precision: 'fp32' });
    for (const field of ['bytes', 'bits_per_weight', 'seconds', 'peak_rss_mib'])
      expect(outcome[field]).toBeGreaterThan(0);
    expect(Object.keys(outcome.parity).sort()).toEqual([
      'kl_divergence',
      'max_logit_error',
      'perplexity',
      'perplexity_source',
      'top1_agreement',
    ]);
    const manifest = JSON.parse(await readFile(path.join(bucket, 'manifests/m/v001.json'), 'utf8'));
    expect(outcome.bytes).toBe(manifest.files.reduce((sum: number, file: { bytes: number }) => sum + file.bytes, 0));
  });

  it('tells people what was made, and why in this precision', async () => {
    const { source } = await readGolden('gguf-gpt2-q8_0');
    const bucket = await scratch();
    const { code, stdout } = await slipway(['convert', source, '--name', 'm', '--bucket', bucket]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^m@v001 {2}fp32, .*\n {2}precision .*small enough/);
  });

  it('lets two processes convert the same under one name at once, and makes one version of it', async () => {
    const { source } = await readGolden('llama-plain');
    const bucket = await scratch();
    const args = [
      'convert',
      source,
      '--name',
      'm',
      '--bucket',
      bucket,
      '--precision',
      'fp16',
      '--allow-drift',
      '--json',
    ];
    const ended = await Promise.all([slipway(args), slipway(args)]);
    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    const outcomes = ended.map(({ stdout }) => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
    expect(outcomes.map(({ version }) => version)).toEqual(['v001', 'v001']);
    expect(leftovers(bucket)).toEqual([]);
  });

  it.each(['reading', 'converting', 'proving', 'publishing'])(
    'killed while %s leaves nothing visible, and the next conversion cleans up',
    async (phase) => {
      const { source } = await readGolden('llama-grouped-tied');
      const bucket = await scratch();
      const args = ['convert', source, '--name', 'm', '--bucket', bucket, '--precision', 'int8', '--allow-drift'];
      const killed = await slipway(args, phase);
      const published = existsSync(path.join(bucket, 'manifests/m/v001.json'));
      // The last phase may be over before the signal arrives: then the version stands, whole.
      if (phase !== 'publishing') {
        expect(killed.code).toBeNull();
        expect(published).toBe(false);
      }
      const { manifest } = await convert({
        source,
        name: 'm',
        precision: 'fp32',
        bucketUrl: bucket,
        allowDrift: false,
      });
      expect(manifest.version).toBe(published ? 'v002' : 'v001');
      expect(leftovers(bucket)).toEqual([]);
    },
  );
});

async function mountSmallDisk(folder: string, kib: number): Promise<boolean> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  return run('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder]).then(
    () => true,
    () => false,
  );
}

describe('on a full disk', () => {
  // The version takes about 170 KiB; int8 adds a float32 twin to compare with. 8 KiB: not even a folder has room.
  it.for([
    ['fp32', 8],
    ['fp32', 60],
    ['fp32', 140],
    ['int8', 180],
  ] as const)('a conversion to %s with %i KiB says so and leaves nothing', async ([precision, kib], { skip }) => {
    const { source } = await readGolden('llama-plain');
    const disk = await scratch();
    if (!(await mountSmallDisk(disk, kib))) return skip('a small disk can only be mounted by root on Linux');
    try {
      const args = ['convert', source, '--name', 'm', '--bucket', disk, '--precision', precision, '--allow-drift'];
      const { code, stdout, errors } = await slipway(args);
      expect([code, stdout]).toEqual([1, '']);
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatch(/^slipway: .*disk .*full/i);
      expect(filesIn(disk)).toEqual([]);
    } finally {
      await run('umount', [disk]);
    }
  });
});

describe('hostile sources', () => {
  /** One clear line, exit code 2, an untouched bucket. */
  async function refused(source: string): Promise<string> {
    const bucket = await scratch();
    const { code, stdout, errors } = await slipway(['convert', source, '--name', 'm', '--bucket', bucket]);
    expect({ source, code, stdout, lines: errors.length }).toEqual({ source, code: 2, stdout: '', lines: 1 });
    expect(errors[0]).toMatch(/^slipway: (?!unexpected)/);
    expect(filesIn(bucket)).toEqual([]);
    return errors[0] ?? '';
  }

  it('truncated files are told to be truncated', async () => {
    const folder = await copyGolden('llama-plain');
    const { source } = await readGolden('gguf-llama-q8_0');
    await truncate(path.join(folder, 'model.safetensors'), 100_000);
    expect(await refused(folder)).toMatch(/model\.safetensors/);
    const gguf = path.join(await scratch(), 'cut.gguf');
    await copyFile(source, gguf);
    await truncate(gguf, 50_000);
    expect(await refused(gguf)).toMatch(/cut\.gguf/);
    await truncate(gguf, 3);
    await refused(gguf);
  });

  it('nothing, an empty folder and a file of something else', async () => {
    const folder = await scratch();
    await refused(path.join(folder, 'nothing'));
    await mkdir(path.join(folder, 'empty'));
    await refused(path.join(folder, 'empty'));
    await refused(import.meta.filename);
  });

  const files = existsSync(MALFORMED)
    ? ['gguf', 'safetensors'].flatMap((kind) =>
        readdirSync(path.join(MALFORMED, kind)).map((name) => path.join(kind, name)),
      )
    : [];
  it.skipIf(files.length === 0).each(files)('from the wild: %s (needs ../shared/data/malformed)', async (file) => {
    if (file.endsWith('.gguf')) {
      await refused(path.join(MALFORMED, file));
      return;
    }
    const folder = await copyGolden('llama-plain');
    await copyFile(path.join(MALFORMED, file), path.join(folder, 'model.safetensors'));
    await refused(folder);
  });
});
