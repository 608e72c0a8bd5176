/** `slipway data inspect|prepare` as a user calls them, on generated files and, where it is there, on real data. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const REAL = join(ROOT, '../shared/data');
const folder = mkdtempSync(join(tmpdir(), 'slipway-data-command-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function slipway(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined } };
    execFile(process.execPath, ['cli/main.ts', 'data', ...args], options, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const CHATS = Array.from({ length: 40 }, (_, n) => JSON.stringify({ user: `Say ${n}, please.`, assistant: `${n}!` }));
const MODEL = ['--model', 'shakespeare-gpt2', '--bucket', 'models', '--template', 'alpaca'];

test('inspect shows format, lengths, what is left out, and what is trained, without colour too', async () => {
  const chats = file('chats.jsonl', [...CHATS, CHATS[0], '{"user": "x", "assistant": ""}', 'broken'].join('\n'));
  const { code, out } = await slipway('inspect', chats, ...MODEL, '--show', '1');
  expect(code).toBe(0);
  expect(out).toMatch(/chats\.jsonl +JSON Lines +chat +[\d.]+ KiB +40 +1 +2/);
  expect(out).toMatch(/Characters {2}of 40 examples\n/);
  expect(out).toMatch(/Tokens {2}by shakespeare-gpt2, of 40 examples; max_length \d+ would do/);
  expect(out).toMatch(/1 {2}assistant is empty\n +chats\.jsonl:42/);
  expect(out).toMatch(/### Response:\n {2}⟦\d+!.*⟧/);
});

test('inspect as JSON is one object; problems end with exit code 2 and say what to do', async () => {
  const odd = file('odd.csv', 'Nr,Query,Reply\n1,a,b\n2,c,d\n');
  expect((await slipway('inspect', odd)).out).toMatch(
    /PROBLEM .*\n {9}data\.columns: \{ a: b \} .* here --columns a=b/,
  );
  const { code, out } = await slipway('inspect', odd, '--json');
  expect(code).toBe(2);
  const inspection = JSON.parse(out);
  expect(inspection.problems).toEqual([expect.stringContaining('columns: { question: Query, answer: Reply }')]);
  const mapped = await slipway('inspect', odd, '--json', '--columns', 'prompt=Query,completion=Reply');
  expect(mapped.code).toBe(0);
  expect(JSON.parse(mapped.out)).toMatchObject({ examples: 2, files: [{ formats: { 'prompt-completion': 2 } }] });
});

test('prepare writes the folder a training reads, once', async () => {
  const chats = file('more.jsonl', CHATS.join('\n'));
  const out = join(folder, 'prepared');
  const args = ['prepare', chats, ...MODEL, '--out', out, '--validation', '0.2'];
  const first = await slipway(...args);
  expect(first.err).toContain('encoding');
  expect(first.code).toBe(0);
  expect(first.out).toMatch(/chat, examples\n/);
  expect(first.out).toMatch(/ {2}train +\d+ +[\d.]+ K? +[\d.]+ %/);
  const dataset = JSON.parse(readFileSync(join(out, 'train/dataset.json'), 'utf8'));
  expect(dataset).toMatchObject({ schema: 1, kind: 'examples', source: { format: 'chat', template: 'alpaca' } });
  expect((await slipway(...args)).out).toContain('as it was');
});

test('what is asked for wrongly is told in one line', async () => {
  const missing = await slipway('inspect', join(folder, 'nothing.json'));
  expect(missing).toMatchObject({ code: 2, out: '' });
  expect(missing.err).toMatch(/there is nothing at .*nothing\.json/);
  const taken = await slipway('inspect', 'README.md', '--rejected', file('taken.jsonl', ''));
  expect(taken).toMatchObject({
    code: 2,
    err: expect.stringMatching(/taken\.jsonl is there already: name another file/),
  });
  expect((await slipway('prepare', 'README.md', '--out', join(folder, 'x'))).err).toContain('--model is needed');
});

describe.skipIf(!existsSync(REAL))('real data (needs ../shared/data)', () => {
  test.each<[string, string, number, number]>([
    ['chat/alpaca_en_demo.json', 'alpaca', 985, 0],
    ['chat/fastchat_dummy_conversation.json', 'sharegpt', 500, 0],
    ['chat/glaive_toolcall_en_demo.json', 'sharegpt', 265, 0],
    ['chat/identity.json', 'alpaca', 91, 0],
    ['chat/instruction-data-rasbt.json', 'alpaca', 1100, 0],
    ['chat/kto_en_demo_150.json', 'messages', 78, 72],
    ['chat/reason_tool_use_demo_50.jsonl', 'messages', 50, 0],
    ['gsm8k-train-1500.jsonl', 'qa', 1500, 0],
    ['tinyshakespeare.txt', 'text', 5, 0],
    ['wikitext-2/valid.txt', 'text', 5, 0],
  ])('%s', async (name, format, examples, rejected) => {
    const { code, out } = await slipway('inspect', join(REAL, name), '--json', '--show', '0');
    expect(code).toBe(0);
    const inspection = JSON.parse(out);
    expect(Object.keys(inspection.files[0].formats)).toEqual([format]);
    expect(inspection).toMatchObject({ examples, rejected: { count: rejected } });
  });

  test.each(['alpaca-seed-tasks.jsonl', 'chat/dpo_en_demo_150.json'])('%s is told how to map', async (name) => {
    const { code, out } = await slipway('inspect', join(REAL, name), '--show', '0');
    expect(code).toBe(2);
    expect(out).toMatch(/map its fields, perhaps so: data\.columns: \{/);
  });

  test('what a template cannot teach is told beside what it can', async () => {
    const files = ['reason_tool_use_demo_50.jsonl', 'identity.json'].map((name) => join(REAL, 'chat', name));
    const { code, out } = await slipway('inspect', ...files, '--model', join(REAL, 'tokenizers/minimind'));
    expect(code).toBe(0);
    expect(out).toMatch(
      /Left out by the template .*\n +\d+ +messages\[\d+\]: the template writes something else before the answer/,
    );
    expect(out).toContain('{{name}}');
  });

  test('pickles, models and broken files are refused by name', async () => {
    const { code, out } = await slipway(
      'inspect',
      join(REAL, 'malformed/pickle/benign0_v3.pkl'),
      join(REAL, 'malformed/gguf/bitnet-rs-mini.gguf'),
      join(REAL, 'malformed/pickle/malicious1.zip'),
    );
    expect(code).toBe(2);
    expect(out).toMatch(/benign0_v3\.pkl is a Python pickle, which is never opened/);
    expect(out).toMatch(/bitnet-rs-mini\.gguf is a GGUF model/);
    expect(out).toMatch(/malicious1\.zip is a zip file/);
  });
});
