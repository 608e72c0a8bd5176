/** `slipway convert --to safetensors|gguf` as a user meets it: what is printed, what is refused, being interrupted, a full disk. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readGolden } from '../../services/converter/testing/golden.ts';
import { filesIn, scratch } from './testing/bucket-folder.ts';
import { slipway } from './testing/slipway.ts';

const run = promisify(execFile);
const MALFORMED = path.join(import.meta.dirname, '../../../shared/data/malformed');

describe('slipway convert --to', () => {
  it('safetensors makes a folder and says what it holds', async () => {
    const { source } = await readGolden('llama-grouped-tied');
    const out = path.join(await scratch(), 'model');
    const { code, stdout, errors } = await slipway(['convert', source, '--to', 'safetensors', '--out', out]);
    expect([code, errors]).toEqual([0, []]);
    expect(stdout).toContain(`${out}  safetensors, source\n`);
    expect(filesIn(out)).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const config = JSON.parse(await readFile(path.join(out, 'config.json'), 'utf8'));
    expect(config).toMatchObject({ architectures: ['LlamaForCausalLM'], dtype: 'bfloat16', tie_word_embeddings: true });
  });

  it('gguf makes a file, and ends with one line of JSON for programs', async () => {
    const { source } = await readGolden('mistral-window');
    const out = path.join(await scratch(), 'model.gguf');
    const args = ['convert', source, '--to', 'gguf', '--precision', 'q8_0', '--out', out, '--json'];
    const { code, stdout, errors } = await slipway(args);
    expect([code, errors]).toEqual([0, []]);
    const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(outcome).toMatchObject({
      target: 'gguf',
      out,
      precision: 'q8_0',
      notes: [expect.stringMatching(/windows/)],
    });
    for (const field of ['tensors', 'parameters', 'bytes', 'bits_per_weight', 'seconds', 'peak_rss_mib'])
      expect(outcome[field]).toBeGreaterThan(0);
  });

  it.each([
    [['--to', 'gguf'], /--to gguf needs --out/],
    [[], /--to onnx needs --name/],
    [['--to', 'gguf', '--out', 'x', '--name', 'm'], /--name is for --to onnx/],
    [['--to', 'gguf', '--out', 'x', '--shard-size', '1GB'], /a GGUF file is one file/],
    [['--to', 'gguf', '--out', 'x', '--precision', 'int4'], /it has f32, f16, q8_0, q4_0/],
    [['--name', 'm', '--precision', 'q4_0'], /none that onnx has; it has auto, fp32/],
  ])('%j is refused, and says what to do', async (args, message) => {
    const { source } = await readGolden('llama-plain');
    const { code, stdout, errors } = await slipway(['convert', source, ...args]);
    expect([code, stdout, errors.length]).toEqual([2, '', 1]);
    expect(errors[0]).toMatch(message);
  });

  it('leaves what stands there as it is', async () => {
    const { source } = await readGolden('llama-plain');
    const out = path.join(await scratch(), 'model.gguf');
    await writeFile(out, 'precious');
    const { code, errors } = await slipway(['convert', source, '--to', 'gguf', '--out', out]);
    expect(code).toBe(2);
    expect(errors.join()).toMatch(/model\.gguf exists already/);
    expect(await readFile(out, 'utf8')).toBe('precious');
  });

  it.each(['safetensors', 'gguf'])('%s killed while writing leaves nothing under the name', async (target) => {
    const { source } = await readGolden('llama-plain');
    const folder = await scratch();
    const args = ['convert', source, '--to', target, '--out', path.join(folder, 'model')];
    const killed = await slipway(args, 'proving');
    expect(killed.code).toBeNull();
    expect(existsSync(path.join(folder, 'model'))).toBe(false);
    expect((await slipway(args)).code).toBe(0);
    expect(readdirSync(folder)).toEqual(['model']);
  });
});

describe('on a full disk', () => {
  it.for(['safetensors', 'gguf'])('--to %s says so and leaves nothing', async (target, { skip }) => {
    const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
    const disk = await scratch();
    const mounted =
      isRoot && (await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).then(Boolean, () => false));
    if (!mounted) return skip('a small disk can only be mounted by root on Linux');
    try {
      const { source } = await readGolden('llama-plain');
      const { code, errors } = await slipway(['convert', source, '--to', target, '--out', path.join(disk, 'model')]);
      expect(code).toBe(1);
      expect(errors.join()).toMatch(/^slipway: the disk of .* is full; nothing was written/);
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      await run('umount', [disk]);
    }
  });
});

describe.skipIf(!existsSync(MALFORMED))('hostile files (needs ../shared/data/malformed)', () => {
  const files = existsSync(MALFORMED)
    ? ['gguf', 'safetensors'].flatMap((kind) =>
        readdirSync(path.join(MALFORMED, kind)).map((name) => `${kind}/${name}`),
      )
    : [];

  it('are each refused in one line, and nothing is written', async () => {
    const folder = await scratch();
    for (const file of files) {
      const args = ['convert', path.join(MALFORMED, file), '--to', 'gguf', '--out', path.join(folder, 'model.gguf')];
      const { code, errors } = await slipway(args);
      expect([file, code, errors.length]).toEqual([file, 2, 1]);
      expect(errors[0]).toContain(path.basename(file));
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});
