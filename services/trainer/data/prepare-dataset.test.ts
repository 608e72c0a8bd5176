import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownerNameOf } from '@slipway/shared/bucket/owner.ts';
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { describe, expect, test } from 'vitest';
import { describeUntemplated } from './preparation.ts';
import { prepareDataset } from './prepare-dataset.ts';
import type { PrepareRequest } from './prepare-request.ts';
import { temporaryFolder, tinyText } from './testing/tiny-text.ts';
import type { ModelText } from './text-side.ts';

const DATA: Omit<DataRecipe, 'train'> = {
  validation: 0,
  format: 'auto',
  template: 'chatml',
  columns: {},
  max_length: 'auto',
  truncated: 0.05,
  deduplicate: true,
  mixed: 'refuse',
  augment: null,
};

function requestFor(content: string, data: Partial<DataRecipe> = {}, name = 'data.jsonl'): PrepareRequest {
  const folder = temporaryFolder();
  const train = join(folder, name);
  writeFileSync(train, content);
  return {
    data: { ...DATA, train, ...data },
    seed: 1,
    text: tinyText(),
    contextLength: 256,
    vocabularySize: 260,
    folder: join(folder, 'prepared'),
    cacheFolder: join(folder, 'cache'),
  };
}

function lines(...values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

/** A tokenizer of these characters alone. */
function letters(alphabet: string): ModelText {
  const vocab = Object.fromEntries(['<unk>', '</s>', ...alphabet].map((piece, id) => [piece, id]));
  return {
    ...tinyText({ special: ['</s>'] }),
    tokenizerJson: {
      added_tokens: ['<unk>', '</s>'].map((content, id) => ({ id, content, special: true })),
      pre_tokenizer: { type: 'Split', pattern: { Regex: '[\\s\\S]' }, behavior: 'Isolated', invert: false },
      decoder: { type: 'Fuse' },
      model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
    },
    eosTokenIds: [1],
  };
}

const IM_END = 259;
const EOS = 257;

describe('examples', () => {
  test('become tokens, masks and offsets that agree with one another and with examples.jsonl', async () => {
    const request = requestFor(lines({ question: '2+2?', answer: '4' }, { question: 'And 3+3?', answer: '6.' }));
    const { train, validation, preparation } = await prepareDataset(request);
    expect(validation).toBeNull();
    expect(preparation).toMatchObject({ kind: 'examples', format: 'qa', stop_ids: [EOS, IM_END], rejected: 0 });
    const read = (name: string) => readFileSync(join(train, name));
    const ids = new Uint16Array(Uint8Array.from(read('tokens.bin')).buffer);
    const offsets = [...new BigUint64Array(Uint8Array.from(read('offsets.bin')).buffer)].map(Number);
    const mask = read('mask.bin');
    expect(offsets).toHaveLength(3);
    expect(offsets.at(-1)).toBe(ids.length);
    expect(mask).toHaveLength(ids.length);
    const trained = offsets.slice(0, -1).map((start, index) => {
      const at = [...ids.keys()].filter(
        (token) => token >= start && token < (offsets[index + 1] ?? 0) && mask[token] === 1,
      );
      return at.map((token) => (ids[token] === IM_END ? '<|im_end|>' : String.fromCharCode(ids[token] ?? 0))).join('');
    });
    expect(trained).toEqual(['4<|im_end|>', '6.<|im_end|>']);
    const examples = read('examples.jsonl')
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(examples.map(({ messages }) => messages[1].content)).toEqual(['4', '6.']);
    expect(preparation.train).toMatchObject({ tokens: ids.length, examples: 2, supervised_tokens: 5, dtype: 'uint16' });
  });

  test('the same input makes the same bytes, and is not prepared twice', async () => {
    const content = lines(...Array.from({ length: 40 }, (_, n) => ({ user: `Say ${n}`, assistant: `${n}` })));
    const request = requestFor(content, { validation: 0.2 });
    const first = await prepareDataset(request);
    const again = await prepareDataset(request);
    expect(again.isReused).toBe(true);
    expect(again.preparation).toEqual(first.preparation);
    const elsewhere = await prepareDataset({ ...request, folder: `${request.folder}-2` });
    expect(elsewhere.isReused).toBe(false);
    expect(elsewhere.preparation.train.sha256).toEqual(first.preparation.train.sha256);
    expect(elsewhere.preparation.validation?.sha256).toEqual(first.preparation.validation?.sha256);
    const changed = await prepareDataset({ ...request, seed: 2 });
    expect(changed.isReused).toBe(false);
    expect(changed.preparation.train.sha256).not.toEqual(first.preparation.train.sha256);
  });

  test('what a killed preparation left is removed by the next, what a living one works on is not', async () => {
    const request = requestFor(lines({ user: 'a', assistant: 'b' }));
    const owned = (pid: number) => `${request.folder}.partial-${ownerNameOf(pid)}-00000000`;
    const { pid = 0 } = spawnSync(process.execPath, ['--version']);
    for (const folder of [owned(pid), owned(process.ppid)]) mkdirSync(folder);
    await prepareDataset(request);
    expect(existsSync(owned(pid))).toBe(false);
    expect(existsSync(owned(process.ppid))).toBe(true);
  });

  test('characters that the tokenizer does not know are counted, with where they were first', async () => {
    const request = requestFor(
      lines({ prompt: 'a\u00e9b', completion: 'ba' }, { prompt: 'ab', completion: '\u00e9\u{1f600}\n' }),
      { template: 'model' },
    );
    const { preparation } = await prepareDataset({ ...request, text: letters('ab\n') });
    expect(preparation.unknown_characters).toEqual({
      count: 3,
      of: 10,
      distinct: 2,
      most: [
        { character: '\u00e9', count: 2, file: 'data.jsonl', line: 1 },
        { character: '\u{1f600}', count: 1, file: 'data.jsonl', line: 2 },
      ],
    });
    const known = await prepareDataset({
      ...request,
      folder: `${request.folder}-2`,
      text: letters('ab\n\u00e9\u{1f600}'),
    });
    expect(known.preparation.unknown_characters).toBeNull();
    const bytes = await prepareDataset({ ...request, folder: `${request.folder}-3` });
    expect(bytes.preparation.unknown_characters).toBeNull();
  });

  test('prompts that a model with a chat template learns without it are told, conversations are not', async () => {
    const text = tinyText({ chatTemplate: '{{ messages }}' });
    const prompts = lines({ prompt: 'a', completion: 'b' });
    const said = async (content: string, of: ModelText) =>
      describeUntemplated(
        (await prepareDataset({ ...requestFor(content, { template: 'model' }), text: of })).preparation,
      );
    expect(await said(prompts, text)).toContain('learnt as they stand');
    expect(await said(prompts, tinyText())).toBeNull();
    const chats = await prepareDataset(requestFor(lines({ question: 'a', answer: 'b' })));
    expect(describeUntemplated(chats.preparation)).toBeNull();
  });

  test('more data moves no example to the other side of the split', async () => {
    const rows = Array.from({ length: 60 }, (_, n) => ({ user: `Say ${n}`, assistant: `${n}` }));
    const held = async (count: number) => {
      const { validation } = await prepareDataset(requestFor(lines(...rows.slice(0, count)), { validation: 0.3 }));
      return readFileSync(join(validation ?? '', 'examples.jsonl'), 'utf8')
        .trim()
        .split('\n');
    };
    const few = await held(30);
    const many = await held(60);
    expect(few.length).toBeGreaterThan(0);
    expect(many.slice(0, few.length)).toEqual(few);
    expect(many.length).toBeGreaterThan(few.length);
  });

  test('duplicates are trained once, and nothing that is held out is trained', async () => {
    const request = requestFor(
      lines({ user: 'a', assistant: 'b' }, { user: 'a', assistant: 'b' }, { user: 'c', assistant: 'd' }),
    );
    const heldOut = join(request.folder, '..', 'held-out.jsonl');
    writeFileSync(heldOut, lines({ user: 'c', assistant: 'd' }));
    const { train, preparation } = await prepareDataset({ ...request, data: { ...request.data, validation: heldOut } });
    expect(readFileSync(join(train, 'examples.jsonl'), 'utf8').trim().split('\n')).toHaveLength(1);
    expect(preparation.files.map(({ duplicates }) => duplicates)).toEqual([0, 2]);
    expect(preparation.validation?.examples).toBe(1);
  });

  describe('more than once', () => {
    const rows = Array.from({ length: 60 }, (_, n) => ({ user: `Tell me about number ${n}.`, assistant: `${n}` }));
    const augment = { copies: 3, lowercase: 0.5, unpunctuated: 0.5, typos: 0.2 };
    const examplesIn = (folder: string | null) =>
      readFileSync(join(folder ?? '', 'examples.jsonl'), 'utf8')
        .trim()
        .split('\n');

    test('changed copies are trained on, counted, and the same for the same seed; what is held out stays', async () => {
      const request = requestFor(lines(...rows), { validation: 0.3 });
      const plain = await prepareDataset(request);
      const grown = await prepareDataset({ ...request, data: { ...request.data, augment } });
      const again = await prepareDataset({
        ...request,
        folder: `${request.folder}-2`,
        data: { ...request.data, augment },
      });
      expect(again.preparation.train.sha256).toEqual(grown.preparation.train.sha256);
      expect(grown.preparation.validation?.sha256).toEqual(plain.preparation.validation?.sha256);
      const { changed } = grown.preparation.multiplied;
      expect(changed).toBeGreaterThan(20);
      expect(grown.preparation.train.examples).toBe(plain.preparation.train.examples + changed);
      expect(new Set(examplesIn(grown.train)).size).toBe(grown.preparation.train.examples);
    });

    test('no copy says what a held-out example says', async () => {
      const both = rows.flatMap((row) => [row, { ...row, user: row.user.toLowerCase().replace('.', '') }]);
      const data = { augment: { ...augment, typos: 0 } };
      const shared = await prepareDataset(requestFor(lines(...both), { validation: 0.3, ...data }));
      const request = requestFor(lines(...rows), data);
      const validation = join(request.folder, '..', 'held-out.jsonl');
      writeFileSync(validation, lines(...both.filter((_, index) => index % 2 === 1)));
      const named = await prepareDataset({ ...request, data: { ...request.data, validation } });
      for (const prepared of [shared, named]) {
        const heldOut = new Set(examplesIn(prepared.validation));
        expect(heldOut.size).toBeGreaterThan(10);
        expect(prepared.preparation.multiplied.changed).toBeGreaterThan(10);
        expect(examplesIn(prepared.train).filter((line) => heldOut.has(line))).toEqual([]);
      }
    });

    test('the examples of a file by its weight', async () => {
      const request = requestFor(lines(...rows), { validation: 0.3 });
      const rare = join(request.folder, '..', 'rare.jsonl');
      writeFileSync(rare, lines({ user: 'Who are you?', assistant: 'Slipway.' }));
      const common = String(request.data.train);
      const { train, preparation } = await prepareDataset({
        ...request,
        data: { ...request.data, train: { [common]: 0.5, [rare]: 3 } },
      });
      const { repeated, unused, changed } = preparation.multiplied;
      const trained = examplesIn(train);
      expect(trained.filter((line) => line.includes('Slipway'))).toHaveLength(3);
      expect(repeated).toBe(2);
      expect(unused).toBeGreaterThan(5);
      expect(changed).toBe(0);
      expect(trained.length + unused + (preparation.validation?.examples ?? 0)).toBe(60 + 3);
    });

    test('is refused for text, and where a file has two weights', async () => {
      const text = requestFor('To be, or not to be.\n', { augment }, 'a.txt');
      await expect(prepareDataset(text)).rejects.toThrow(/data\.augment changes what is asked/);
      const train = String(text.data.train);
      const weighted = { ...text, data: { ...text.data, augment: null, train: { [train]: 2 } } };
      await expect(prepareDataset(weighted)).rejects.toThrow(/data\.train: weights count examples/);
      const twice = {
        ...weighted,
        data: { ...weighted.data, train: { [train]: 1, [train.replace('a.txt', '*.txt')]: 2 } },
      };
      await expect(prepareDataset(twice)).rejects.toThrow(/has two weights, 1 and 2/);
    });
  });

  test('bad ones are skipped, counted and listed with their line', async () => {
    const request = requestFor(
      `${lines({ user: 'a', assistant: 'b' })}{"user": "broken\n\n${lines({ user: 'x', assistant: '  ' }, 7)}`,
    );
    const { preparation } = await prepareDataset(request);
    const rejected = readFileSync(join(request.folder, 'rejected.jsonl'), 'utf8').trim().split('\n');
    expect(rejected.map((line) => JSON.parse(line))).toEqual([
      { file: 'data.jsonl', line: 2, reason: expect.stringContaining('not valid JSON') },
      { file: 'data.jsonl', line: 4, reason: 'assistant is empty' },
      { file: 'data.jsonl', line: 5, reason: 'not an object with fields' },
    ]);
    expect(preparation.rejected).toBe(3);
  });
});

describe('text', () => {
  test('is a stream of documents, each ended', async () => {
    const request = requestFor(lines({ text: 'one' }, { text: 'two' }), { template: 'model' });
    const { train, preparation } = await prepareDataset(request);
    expect(preparation).toMatchObject({ kind: 'stream', format: 'text' });
    expect(readdirSync(train).toSorted()).toEqual(['dataset.json', 'examples.jsonl', 'offsets.bin', 'tokens.bin']);
    const ids = [...new Uint16Array(Uint8Array.from(readFileSync(join(train, 'tokens.bin'))).buffer)];
    expect(ids).toEqual([...Buffer.from('one'), EOS, ...Buffer.from('two'), EOS]);
  });

  test('of a long file is split in passages, without a token lost or an end in its middle', async () => {
    const text = Array.from({ length: 4000 }, (_, n) => `Line ${n} of the story.\n`).join('');
    const request = requestFor(text, { template: 'model', validation: 0.3 }, 'story.txt');
    const { train, validation } = await prepareDataset(request);
    const passages = [train, validation ?? ''].flatMap((folder) =>
      readFileSync(join(folder, 'examples.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
    const numbers = passages.flatMap((passage) =>
      [...passage.text.matchAll(/Line (\d+) of/g)].map((found) => Number(found[1])),
    );
    expect(numbers.toSorted((a, b) => a - b)).toEqual([...Array(4000).keys()]);
    for (const folder of [train, validation ?? '']) {
      const ids = [...new Uint16Array(Uint8Array.from(readFileSync(join(folder, 'tokens.bin'))).buffer)];
      expect(ids.filter((id) => id === EOS)).toHaveLength(1);
      expect(ids.at(-1)).toBe(EOS);
    }
  });
});

describe('is refused, with nothing left behind', () => {
  const pair = { user: 'a', assistant: 'b' };
  test.each<[string, string, Partial<DataRecipe>, RegExp]>([
    [
      'a file of two formats',
      lines(pair, pair, { instruction: 'x', output: 'y' }),
      {},
      /mixes formats: chat in 2 \(line 1, 2\); alpaca in 1 \(line 3\)/,
    ],
    [
      'unknown fields, with a guess',
      lines({ frage: 'x', prompt: 'hm', reply: 'y' }),
      {},
      /columns: \{ question: prompt, answer: reply \}/,
    ],
    [
      'a file that is cut off',
      '[{"user": "a", "assistant": "b"}, {"user": "c"',
      {},
      /line 1: no valid JSON from here on/,
    ],
    ['a conversation without a template', lines(pair), { template: 'model' }, /set data.template/],
    [
      'a template whose end the tokenizer lacks',
      lines(pair),
      { template: 'llama3' },
      /<\|eot_id\|>, which is no token/,
    ],
    [
      'too much that would be cut',
      lines(pair, { user: 'a', assistant: 'b'.repeat(90) }),
      { max_length: 64 },
      /1 of 2 examples \(50 %\) have more than 64 tokens.*set data.max_length to 128/,
    ],
    ['more than the model takes', lines(pair), { max_length: 512 }, /the model takes 256/],
    ['nothing', '', {}, /it is empty/],
  ])('%s', async (_, content, data, message) => {
    const request = requestFor(content, data);
    await expect(prepareDataset(request)).rejects.toThrow(message);
    expect(readdirSync(join(request.folder, '..'))).toEqual(['data.jsonl']);
  });

  test('data of which all is held out', async () => {
    const request = requestFor(lines(pair));
    const data = { ...request.data, validation: request.data.train as string };
    await expect(prepareDataset({ ...request, data })).rejects.toThrow(/nothing is left of data\.train to train on/);
  });

  test.each(['data.jsonl', '.'])('a place where something else is, such as the data itself: %s', async (place) => {
    const request = requestFor(lines(pair));
    const folder = join(request.folder, '..', place);
    await expect(prepareDataset({ ...request, folder })).rejects.toThrow(/holds something else \(data\.jsonl\)/);
    expect(readFileSync(request.data.train as string, 'utf8')).toBe(lines(pair));
  });
});
