/** Tokenizers over HTTP: learnt by the real kernel from what a caller sent, and taken by a recipe. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { afterAll, describe, expect, it } from 'vitest';
import { readRun } from '../../services/trainer/runs/run-folder.ts';
import { ended } from './testing/published-runs.ts';
import { ask, newFolders, post, recipe, startGuardedTrainer, startTestTrainer } from './testing/test-trainer.ts';
import { kernelMissing } from './testing/train-command.ts';

const folders = newFolders(afterAll);
const { url, close } = await startTestTrainer(folders);
afterAll(close);
const CHATS = ['Where is the barn?', 'How old is the barn?', 'Who built the old barn?'].map((content) =>
  JSON.stringify({
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: 'The barn is behind the house, and it is old.' },
    ],
  }),
);
writeFileSync(join(folders.corpus, 'chats.jsonl'), `${CHATS.join('\n')}\n`);

const train = (body: object, at = url, headers = {}) => post(at, '/tokenizers/train', JSON.stringify(body), headers);

describe.skipIf(kernelMissing !== '')(
  `a tokenizer that is trained over HTTP${kernelMissing}`,
  { timeout: 300_000 },
  () => {
    it('learns what the data says, tells of it, and is what a recipe trains with', async () => {
      const asked = await train({ data: 'chats.jsonl', kind: 'bpe', vocabulary_size: 280, chat: true });
      expect(asked.status).toBe(202);
      expect(asked.body).toMatchObject({ object: 'tokenizer', kind: 'bpe', data: ['chats.jsonl'], statistics: null });
      const { id } = asked.body;
      const early = await post(url, '/runs/train', withTokenizer(id));
      expect([early.status, early.body.error?.message]).toEqual([409, expect.stringContaining('can be used when')]);
      const { status, error, statistics } = await ended(url, `/tokenizers/${id}`);
      expect({ status, error }).toEqual({ status: 'succeeded', error: null });
      expect(statistics).toMatchObject({ kind: 'bpe', vocabulary_size: 280 });

      const file = (await ask(url, `/tokenizers/${id}/tokenizer.json`)).body;
      const tokenizer = loadTokenizer(file, {});
      const encode = (text: string) => tokenizer.encode(text, { addBos: false, parseSpecial: false });
      const encoded = encode('The old barn');
      expect(tokenizer.decode(encoded)).toBe('The old barn');
      // Of words, not of the JSON around them.
      expect(encoded.length).toBeLessThanOrEqual(4);
      expect(encode('"messages"').length).toBeGreaterThan(4);

      const run = (await post(url, '/runs/train', withTokenizer(id))).body.id;
      const { recipe: taken } = await readRun(folders.data, run);
      expect(taken.tokenizer).toEqual({ path: join(folders.data, 'tokenizers', id) });

      const { data, has_more } = (await ask(url, '/tokenizers?limit=1')).body;
      expect([data.map((one: { id: string }) => one.id), has_more]).toEqual([[id], false]);
      // Until its run has read it there is somebody who needs it.
      await ended(url, `/runs/${run}`);
      const removed = await ask(url, `/tokenizers/${id}`, { method: 'DELETE' });
      expect(removed.body).toEqual({ id, object: 'tokenizer', deleted: true });
      expect((await ask(url, `/tokenizers/${id}`)).status).toBe(404);
      expect(readdirSync(join(folders.data, 'tokenizers'))).toEqual([]);
    });

    it('that cannot be made says why, without the places of this machine', async () => {
      writeFileSync(join(folders.corpus, 'short.txt'), 'abc\n');
      const { body } = await train({ data: 'short.txt', vocabulary_size: 100_000 });
      const { status, error } = await ended(url, `/tokenizers/${body.id}`);
      expect({ status, code: error.code }).toEqual({ status: 'failed', code: 'invalid_source' });
      expect(error.message).toMatch(/vocabulary/i);
      expect(error.message).not.toContain(folders.root);
      expect((await ask(url, `/tokenizers/${body.id}/tokenizer.json`)).status).toBe(409);
      expect(existsSync(join(folders.data, 'tokenizers', `${body.id}.text`))).toBe(false);
    });

    it('is not there for another key, nor for its recipes', async () => {
      const place = newFolders();
      const { url: at, as } = await startGuardedTrainer(place);
      const { id } = (await train({ data: 'plays/*.txt', kind: 'character' }, at, as('hers'))).body;
      expect((await ask(at, `/tokenizers/${id}`, { headers: as('hers') })).status).toBe(200);
      const his = { headers: as('his') };
      expect((await ask(at, `/tokenizers/${id}`, his)).status).toBe(404);
      expect((await ask(at, `/tokenizers/${id}`, { ...his, method: 'DELETE' })).status).toBe(404);
      expect((await ask(at, '/tokenizers', his)).body.data).toEqual([]);
      expect((await post(at, '/runs/train', withTokenizer(id), as('his'))).status).toBe(404);
    });
  },
);

describe('a request for one', () => {
  it.skipIf(kernelMissing !== '')(`is refused with what is wrong${kernelMissing}`, async () => {
    const refused = async (body: object, status: number, message: RegExp) => {
      const answer = await train(body);
      expect([answer.status, answer.body.error.message]).toEqual([status, expect.stringMatching(message)]);
    };
    await refused({}, 422, /data must be .* missing/);
    await refused({ data: 'chats.jsonl' }, 422, /vocabulary_size must be given/);
    await refused({ data: 'chats.jsonl', vocab_size: 300 }, 422, /did you mean vocabulary_size\?/);
    await refused({ data: 'chats.jsonl', kind: 'wordpiece' }, 422, /kind must be one of bpe/);
    await refused({ data: '../secret.txt', kind: 'character' }, 404, /^data: there is nothing at/);
    expect((await ask(url, '/tokenizers/tok-..%2f..%2fsecret')).status).toBe(404);
    expect((await ask(url, '/tokenizers/tok-20260101000000000-000000')).status).toBe(404);
  });
});

function withTokenizer(id: string): string {
  return recipe().replace('{ kind: character }', `{ path: ${id} }`);
}
