/**
 * What a request can ask of each token, through the running service: biases, forbidden words, ends, and the prompt's own probabilities.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BYTE_EOS } from './testing/byte-tokenizer.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({});
});
afterAll(() => service.close());

const GREEDY = { temperature: 0, ignore_eos: true };

async function tokensOf(body: object): Promise<number[]> {
  const { body: answer, text } = await service.generate({ prompt: 'Once', max_new_tokens: 12, ...GREEDY, ...body });
  expect(answer.error, text).toBeUndefined();
  return answer.outputs[0].token_ids;
}

it('a bias decides which token comes', async () => {
  const [first = 0] = await tokensOf({});
  expect(await tokensOf({ logit_bias: { 65: 100 }, max_new_tokens: 3 })).toEqual([65, 65, 65]);
  expect((await tokensOf({ logit_bias: { [first]: -100 } }))[0]).not.toBe(first);
});

it('bad words are not said, single or several tokens long', async () => {
  const plain = await tokensOf({});
  const word = String.fromCharCode(...plain.slice(1, 3));
  const without = await tokensOf({ bad_words: [word] });
  expect(String.fromCharCode(...plain)).toContain(word);
  expect(without[0]).toBe(plain[0]);
  expect(String.fromCharCode(...without)).not.toContain(word);
});

it('presence and frequency penalties keep tokens from coming back', async () => {
  const biased = { logit_bias: { 65: 50, 66: 49, 67: 48 }, max_new_tokens: 3 };
  expect(await tokensOf(biased)).toEqual([65, 65, 65]);
  expect(new Set(await tokensOf({ ...biased, presence_penalty: 2 })).size).toBeGreaterThan(1);
  expect(new Set(await tokensOf({ ...biased, frequency_penalty: 2 })).size).toBeGreaterThan(1);
});

it('stop_token_ids end an answer with the reason stop, and their token is not part of it', async () => {
  const plain = await tokensOf({});
  const stop = plain[4] ?? 0;
  const { body } = await service.generate({ prompt: 'Once', max_new_tokens: 12, ...GREEDY, stop_token_ids: [stop] });
  expect(body.outputs[0]).toMatchObject({ token_ids: plain.slice(0, plain.indexOf(stop)), finish_reason: 'stop' });
});

it('min_new_tokens keeps the end away', async () => {
  const ending = { prompt: 'Once', temperature: 0, max_new_tokens: 8, logit_bias: { [BYTE_EOS]: 100 } };
  const { body } = await service.generate(ending);
  expect(body.outputs[0]).toMatchObject({ token_ids: [], finish_reason: 'eos' });
  const { body: longer } = await service.generate({ ...ending, min_new_tokens: 3 });
  expect(longer.outputs[0]).toMatchObject({ finish_reason: 'eos' });
  expect(longer.outputs[0].token_ids).toHaveLength(3);
});

it('after a post-stop marker the end becomes more likely with each token', async () => {
  const marked = { prompt: 'Once', temperature: 0, max_new_tokens: 40, logit_bias: { 65: 60 } };
  const { body: on } = await service.generate(marked);
  expect(on.outputs[0].finish_reason).toBe('length');
  const { body } = await service.generate({ ...marked, post_stop: 'AA', post_stop_penalty: 20 });
  expect(body.outputs[0].finish_reason).toBe('eos');
  expect(body.text.startsWith('AA')).toBe(true);
  expect(body.text.length).toBeLessThan(8);
});

it("the prompt's probabilities are those that each of its tokens would have been chosen by", async () => {
  const text = 'Once upon a time';
  for (const stream of [false, true]) {
    const asked = { prompt: text, max_new_tokens: 0, prompt_logprobs: 2, stream };
    const answer = stream ? await doneOf(asked) : (await service.generate(asked)).body;
    expect(answer.outputs).toEqual([{ index: 0, text: '', token_ids: [], finish_reason: 'length' }]);
    expect(answer.usage.completion_tokens).toBe(0);
    expect(answer.prompt_logprobs).toHaveLength(text.length);
    expect(answer.prompt_logprobs[0]).toBeNull();
    for (const cut of [2, 5, text.length - 1]) {
      const forced = { [text.charCodeAt(cut)]: 100 };
      const one = { prompt: text.slice(0, cut), max_new_tokens: 1, ...GREEDY, logprobs: 2, logit_bias: forced };
      const { body } = await service.generate(one);
      expect(answer.prompt_logprobs[cut]).toEqual(body.outputs[0].logprobs[0]);
    }
  }
});

it("long prompts, computed in several chunks, have every token's probability, twice the same", async () => {
  const asked = { prompt: 'abc '.repeat(200), max_new_tokens: 1, prompt_logprobs: 0, temperature: 0, logprobs: 0 };
  const { body } = await service.generate(asked);
  expect(body.prompt_logprobs.filter((entry: unknown) => entry === null)).toHaveLength(1);
  expect(body.prompt_logprobs).toHaveLength(800);
  const again = await service.generate(asked);
  expect(again.body.prompt_logprobs).toEqual(body.prompt_logprobs);
  expect(again.body.timings.cached_prompt_tokens).toBe(0);
});

it.each([
  [{ logit_bias: { 99999: 1 } }, 'logit_bias must have token ids from 0 to'],
  [{ stop_token_ids: [99999] }, 'stop_token_ids must have token ids from 0 to'],
  [{ max_new_tokens: 0 }, '0 only with prompt_logprobs'],
])('%j is refused with the reason', async (fields, message) => {
  const { status, body } = await service.generate({ prompt: 'Once', ...fields });
  expect(status).toBe(422);
  expect(body.error.message).toContain(message);
});

/** The answer that ends a stream. */
async function doneOf(body: object) {
  const text = await (await service.stream(body)).text();
  return JSON.parse(/^event: done\ndata: (.*)$/m.exec(text)?.[1] ?? 'null');
}
