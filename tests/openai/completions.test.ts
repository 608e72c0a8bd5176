/** `/v1/completions` by OpenAI's own client for Node: every shape of prompt, echo, log probabilities, several choices, streams. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../service/testing/test-service.ts';

let service: TestService;
let client: OpenAI;
beforeAll(async () => {
  service = await startTestService({ slots: 4, config: { occupancySemaphore: 4, maxNewTokens: 64 } });
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => service.close());

/** vLLM's fields are in no type of OpenAI's. */
const greedy = { model: 'synthetic', temperature: 0, ignore_eos: true };
const bytes = (text: string) => [...Buffer.from(text)];

async function texts(prompt: OpenAI.CompletionCreateParams['prompt'], more: object = {}): Promise<string[]> {
  const { choices } = await client.completions.create({ ...greedy, prompt, max_tokens: 6, ...more });
  expect(choices.map(({ index }) => index)).toEqual(choices.map((_, index) => index));
  return choices.map(({ text }) => text);
}

describe('a completion', () => {
  it('has every field', async () => {
    const answer = await client.completions.create({ ...greedy, prompt: 'Once', max_tokens: 5 });
    expect(answer).toEqual({
      id: expect.stringMatching(/^cmpl-[0-9a-f]{32}$/),
      object: 'text_completion',
      created: expect.any(Number),
      model: 'synthetic',
      system_fingerprint: 'fp_test',
      choices: [{ index: 0, text: expect.any(String), logprobs: null, finish_reason: 'length' }],
      usage: {
        prompt_tokens: 4,
        completion_tokens: 5,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: expect.any(Number) },
      },
    });
    expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(60);
  });

  it('goes on after a text, texts, token ids and lists of those, alike', async () => {
    const [once] = await texts('Once');
    const [upon] = await texts('upon');
    expect(once).not.toBe(upon);
    expect(await texts(bytes('Once'))).toEqual([once]);
    expect(await texts(['Once', 'upon'])).toEqual([once, upon]);
    expect(await texts([bytes('Once'), bytes('upon')])).toEqual([once, upon]);
    expect(await texts(Array.from({ length: 20 }, () => 'Once'))).toEqual(Array.from({ length: 20 }, () => once));
  });

  it('is the one that /generate gives', async () => {
    const { body } = await service.generate({ prompt: 'Once', temperature: 0.8, seed: 3, max_new_tokens: 20 });
    const { choices } = await client.completions.create({
      model: 'synthetic',
      prompt: 'Once',
      temperature: 0.8,
      seed: 3,
      max_tokens: 20,
    });
    expect(choices[0]?.text).toBe(body.text);
  });

  it('has 16 tokens unless told otherwise, and never more than the service gives', async () => {
    const count = async (max_tokens?: number) => {
      const { data, response } = await client.completions
        .create({ ...greedy, prompt: 'a', ...(max_tokens === undefined ? {} : { max_tokens }) })
        .withResponse();
      return [data.usage?.completion_tokens, response.headers.get('warnings')];
    };
    expect(await count()).toEqual([16, null]);
    expect(await count(1000)).toEqual([64, '"max_tokens is 1000; an answer has at most 64 tokens here"']);
  });

  it('has n choices of each prompt, drawn apart', async () => {
    const all = await texts(['Once', 'upon'], { n: 3, temperature: 1, seed: 1 });
    expect(all).toHaveLength(6);
    expect(new Set(all).size).toBe(6);
  });

  it('gives the likeliest of best_of', async () => {
    const asked = { ...greedy, prompt: 'Once', temperature: 1, seed: 5, max_tokens: 4 };
    const all = await client.completions.create({ ...asked, n: 6, logprobs: 0 });
    const mean = (choice: OpenAI.CompletionChoice) =>
      (choice.logprobs?.token_logprobs ?? []).reduce((sum, one) => sum + one, 0);
    const expected = all.choices.toSorted((a, b) => mean(b) - mean(a)).slice(0, 2);
    const best = await client.completions.create({ ...asked, n: 2, best_of: 6 });
    expect(best.choices.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    expect(best.choices.map(({ index, logprobs }) => [index, logprobs])).toEqual([
      [0, null],
      [1, null],
    ]);
    expect(best.usage?.completion_tokens).toBe(24);
  });

  it('ends at a stop string, which is not in it', async () => {
    const [plain = ''] = await texts('Once', { max_tokens: 12 });
    const stop = plain.slice(4, 6);
    const { choices } = await client.completions.create({ ...greedy, prompt: 'Once', max_tokens: 12, stop });
    expect(choices[0]).toMatchObject({ text: plain.slice(0, plain.indexOf(stop)), finish_reason: 'stop' });
  });

  it('takes what vLLM adds', async () => {
    const forced = { logit_bias: { 65: 50, 66: 49 } };
    expect(await texts('a', { ...forced, max_tokens: 3 })).toEqual(['AAA']);
    expect(await texts('a', { ...forced, max_tokens: 3, bad_words: ['AA'] })).toEqual(['ABA']);
    expect(await texts('a', { ...forced, max_tokens: 9, stop_token_ids: [65] })).toEqual(['']);
    expect(await texts('a', { ...forced, max_tokens: 9, stop_token_ids: [65], min_tokens: 2 })).not.toEqual(['']);
    expect(await texts('a', { ...forced, max_tokens: 2, temperature: 1, top_k: 1 })).toEqual(['AA']);
    expect(await texts('a', { ...forced, max_tokens: 2, temperature: 2, min_p: 1 })).toEqual(['AA']);
    expect(await texts('a', { ...forced, max_tokens: 2, temperature: 2, top_p: 0 })).toEqual(['AA']);
  });
});

describe('log probabilities', () => {
  it('are lists as long as the answer, with the places of its tokens', async () => {
    const { choices } = await client.completions.create({
      ...greedy,
      prompt: 'Once',
      max_tokens: 4,
      logprobs: 2,
      logit_bias: { 65: 100 },
    });
    const { logprobs } = choices[0] ?? {};
    expect(logprobs).toMatchObject({ tokens: ['A', 'A', 'A', 'A'], text_offset: [0, 1, 2, 3] });
    for (const [index, top] of (logprobs?.top_logprobs ?? []).entries()) {
      // Two alternatives, and the one that was forced where it is not one of them.
      expect([2, 3]).toContain(Object.keys(top).length);
      expect(top.A).toBe(logprobs?.token_logprobs?.[index]);
    }
  });

  it('of an echoed prompt are those of its tokens, with nothing generated where nothing is wanted', async () => {
    for (const prompt of ['Once upon', bytes('Once upon')]) {
      const { choices, usage } = await client.completions.create({
        ...greedy,
        prompt,
        max_tokens: 0,
        echo: true,
        logprobs: 1,
      });
      const [choice] = choices;
      expect(choice).toMatchObject({ text: 'Once upon', finish_reason: 'length' });
      expect(choice?.logprobs?.tokens).toEqual([...'Once upon']);
      expect(choice?.logprobs?.text_offset).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
      expect(choice?.logprobs?.token_logprobs?.[0]).toBeNull();
      expect(choice?.logprobs?.top_logprobs?.[0]).toBeNull();
      const { body } = await service.generate({ prompt: 'Once upon', max_new_tokens: 0, prompt_logprobs: 0 });
      expect(choice?.logprobs?.token_logprobs?.slice(1)).toEqual(
        body.prompt_logprobs.slice(1).map(({ logprob }: { logprob: number }) => logprob),
      );
      expect(usage?.completion_tokens).toBe(0);
    }
  });

  it('of an echoed prompt and its answer are one list', async () => {
    const { choices } = await client.completions.create({
      ...greedy,
      prompt: 'é!',
      max_tokens: 2,
      echo: true,
      logprobs: 0,
      n: 2,
      logit_bias: { 66: 100 },
    });
    expect(choices).toHaveLength(2);
    for (const choice of choices) {
      expect(choice.text).toBe('é!BB');
      expect(choice.logprobs?.tokens).toEqual(['bytes:\\xc3', 'bytes:\\xa9', '!', 'B', 'B']);
      expect(choice.logprobs?.text_offset).toEqual([0, 0, 1, 2, 3]);
    }
  });

  it('of a prompt come in vLLM’s shape too', async () => {
    const asked = { ...greedy, prompt: 'ab', max_tokens: 1, prompt_logprobs: 1 };
    const { choices } = await client.completions.create(asked);
    const [first, second] = (choices[0] as unknown as { prompt_logprobs: unknown[] }).prompt_logprobs;
    expect(first).toBeNull();
    expect(second).toMatchObject({ 98: { logprob: expect.any(Number), decoded_token: 'b' } });
  });
});

describe('a stream', () => {
  it('joined is the whole answer, of every choice of every prompt', async () => {
    const asked = {
      ...greedy,
      prompt: ['Once', 'upon', 'a'],
      n: 2,
      temperature: 1,
      seed: 9,
      max_tokens: 20,
      logprobs: 1,
      echo: true,
    };
    const whole = await client.completions.create(asked);
    const joined = whole.choices.map(() => ({ text: '', tokens: [] as string[], offsets: [] as number[], reason: '' }));
    let ends = 0;
    for await (const { choices, usage } of await client.completions.create({ ...asked, stream: true })) {
      expect(usage).toBeUndefined();
      for (const { index, text, logprobs, finish_reason } of choices) {
        const one = joined[index];
        if (one === undefined) throw new Error(`there is no choice ${index}`);
        one.text += text;
        one.tokens.push(...(logprobs?.tokens ?? []));
        one.offsets.push(...(logprobs?.text_offset ?? []));
        if (finish_reason !== null) one.reason = finish_reason;
        if (finish_reason !== null) ends++;
      }
    }
    expect(ends).toBe(6);
    expect(joined).toEqual(
      whole.choices.map(({ text, logprobs, finish_reason }) => ({
        text,
        tokens: logprobs?.tokens,
        offsets: logprobs?.text_offset,
        reason: finish_reason,
      })),
    );
  });

  it('ends with the usage when that is asked for', async () => {
    const stream = await client.completions.create({
      ...greedy,
      prompt: 'Once',
      max_tokens: 3,
      stream: true,
      stream_options: { include_usage: true },
    });
    const events = await Array.fromAsync(stream);
    expect(events.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
    });
    for (const event of events.slice(0, -1)) expect(event.usage).toBeNull();
  });
});
