/** One JSON answer: its fields, every field's bounds, hostile prompts and bodies. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BYTE_BOS, BYTE_VOCABULARY } from './testing/byte-tokenizer.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ contextLength: 4096, config: { maxPromptTokens: 2048, bodyLimitBytes: 2 ** 21 } });
});
afterAll(() => service.close());

describe('the answer', () => {
  it('has every field', async () => {
    const { status, headers, body } = await service.generate({
      prompt: 'Once',
      max_new_tokens: 5,
      seed: 7,
      ignore_eos: true,
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.stringMatching(/^gen-[0-9a-f]{32}$/),
      model: 'synthetic',
      text: expect.any(String),
      outputs: [
        { index: 0, text: body.text, token_ids: expect.arrayContaining([expect.any(Number)]), finish_reason: 'length' },
      ],
      usage: { prompt_tokens: 4, completion_tokens: 5, prompt_truncated: false },
      timings: {
        queue_ms: expect.any(Number),
        time_to_first_token_ms: expect.any(Number),
        total_ms: expect.any(Number),
        tokens_per_second: expect.any(Number),
        cached_prompt_tokens: expect.any(Number),
      },
      seed: 7,
      request_id: headers.get('x-request-id'),
      system_fingerprint: 'fp_test',
    });
    const { queue_ms, time_to_first_token_ms, total_ms } = body.timings;
    expect(queue_ms).toBeLessThanOrEqual(time_to_first_token_ms);
    expect(time_to_first_token_ms).toBeLessThanOrEqual(total_ms);
  });

  it('gives log probabilities when asked', async () => {
    const { body } = await service.generate({
      prompt: 'a',
      max_new_tokens: 3,
      temperature: 0,
      logprobs: 2,
      ignore_eos: true,
    });
    const [output] = body.outputs;
    expect(output.logprobs).toHaveLength(3);
    for (const [position, one] of output.logprobs.entries()) {
      expect(one.token_id).toBe(output.token_ids[position]);
      expect(one.logprob).toBeLessThanOrEqual(0);
      expect(one.top).toHaveLength(2);
      expect(one.top[0]).toEqual({ token_id: one.token_id, token: one.token, logprob: one.logprob });
      expect(one.top[1].logprob).toBeLessThanOrEqual(one.logprob);
    }
    const none = await service.generate({ prompt: 'a', max_new_tokens: 1, logprobs: 0, ignore_eos: true });
    expect(none.body.outputs[0].logprobs[0].top).toEqual([]);
  });

  it('ends at EOS unless told otherwise', async () => {
    // The byte model reaches its EOS sooner or later; with 512 tokens of 258 it is likely within a few prompts.
    const ask = (prompt: string, more: object) =>
      service.generate({ prompt, max_new_tokens: 512, temperature: 0, ...more });
    const prompts = Array.from({ length: 12 }, (_, index) => `prompt ${index}`);
    const answers = await Promise.all(prompts.map((prompt) => ask(prompt, {})));
    const ended = answers.findIndex(({ body }) => body.outputs[0].finish_reason === 'eos');
    expect(ended).toBeGreaterThanOrEqual(0);
    const stopped = answers[ended]?.body.outputs[0].token_ids;
    expect(stopped.length).toBeLessThan(512);
    for (const more of [{ stop_on_eos: false }, { ignore_eos: true }]) {
      const { body } = await ask(prompts[ended] ?? '', more);
      expect(body.outputs[0].finish_reason).toBe('length');
      expect(body.outputs[0].token_ids).toHaveLength(512);
      expect(body.outputs[0].token_ids.slice(0, stopped.length)).toEqual(stopped);
    }
  });

  it('knows its own name only', async () => {
    expect((await service.generate({ prompt: 'a', model: 'synthetic', max_new_tokens: 1 })).status).toBe(200);
    for (const model of ['synthetic@latest', 'owner/synthetic']) {
      expect((await service.generate({ prompt: 'a', model, max_new_tokens: 1 })).status).toBe(200);
    }
    expect((await service.generate({ prompt: 'a', model: 'synthetic@v002' })).status).toBe(404);
    const { status, body } = await service.generate({ prompt: 'a', model: 'other' });
    expect([status, body.error.code]).toEqual([404, 'not_found']);
    expect(body.error.message).toBe('model "other" is not served here; synthetic is');
  });
});

describe('fields', () => {
  it.each([
    ['max_new_tokens', 0],
    ['max_new_tokens', 513],
    ['temperature', -1],
    ['temperature', 2.5],
    ['top_k', -1],
    ['top_p', 0],
    ['top_p', 1.5],
    ['min_p', 2],
    ['repetition_penalty', 0],
    ['seed', -1],
    ['stop', ['']],
    ['stop_on_eos', 1],
    ['ignore_eos', 'no'],
    ['num_return_sequences', 0],
    ['num_return_sequences', 11],
    ['logprobs', 21],
    ['stream', 'yes'],
    ['model', 5],
    ['prompt', { text: 'a' }],
    ['unknown_field', 1],
  ])('%s = %j is a 422 that names it', async (field, value) => {
    const { status, headers, body } = await service.generate({ prompt: 'a', [field]: value });
    expect(status).toBe(422);
    expect(body.error.code).toBe('invalid_field');
    expect(body.error.message).toContain(field);
    expect(body.error.request_id).toBe(headers.get('x-request-id'));
  });

  it.each([
    { max_new_tokens: 1 },
    { max_new_tokens: 512 },
    { temperature: 0 },
    { temperature: 2, top_k: 1, top_p: 0.001, min_p: 1, repetition_penalty: 10 },
    { num_return_sequences: 10 },
    { logprobs: 20 },
    { stop: Array(16).fill('zzzzzz') },
  ])('%j is taken', async (fields) => {
    expect((await service.generate({ prompt: 'a', max_new_tokens: 2, ...fields })).status).toBe(200);
  });
});

describe('prompts', () => {
  it('begins an empty one with BOS', async () => {
    const empty = await service.generate({ prompt: '', max_new_tokens: 4, temperature: 0 });
    const bos = await service.generate({ prompt: [BYTE_BOS], max_new_tokens: 4, temperature: 0 });
    expect(empty.status).toBe(200);
    expect(empty.body.usage.prompt_tokens).toBe(1);
    expect(empty.body.outputs).toEqual(bos.body.outputs);
  });

  it('cuts a megabyte to its last 2,048 tokens and says so', async () => {
    const tail = 'b'.repeat(2048);
    const long = await service.generate({
      prompt: `${'a '.repeat(500_000)}${tail}`,
      max_new_tokens: 2,
      temperature: 0,
    });
    const short = await service.generate({ prompt: tail, max_new_tokens: 2, temperature: 0 });
    expect(long.body.usage).toEqual({ prompt_tokens: 2048, completion_tokens: 2, prompt_truncated: true });
    expect(short.body.usage.prompt_truncated).toBe(false);
    expect(long.body.text).toBe(short.body.text);
  });

  it('takes lone surrogates and special tokens as text', async () => {
    const lone = await service.post('{"prompt": "\\ud800 a \\udfff", "max_new_tokens": 2}');
    expect(lone.status).toBe(200);
    const special = await service.generate({ prompt: '<s><|im_end|></s>', max_new_tokens: 2 });
    expect(special.body.usage.prompt_tokens).toBe(17);
  });

  it('refuses token ids that the vocabulary has not', async () => {
    const { status, body } = await service.generate({ prompt: [0, BYTE_VOCABULARY - 1, BYTE_VOCABULARY] });
    expect(status).toBe(422);
    expect(body.error.message).toBe(`prompt[2] must be a token id from 0 to 257, but is 258`);
  });
});

describe('bodies', () => {
  it.each(['', '{', 'prompt=hi', '{"prompt": "a"} x', 'NaN'])('%j is not JSON: 400', async (text) => {
    const { status, body } = await service.post(text);
    expect([status, body.error.code]).toEqual([400, 'invalid_json']);
  });

  it('bytes that are no UTF-8: 400', async () => {
    const { status } = await service.post(
      Uint8Array.from([...Buffer.from('{"prompt": "'), 0xff, 0xfe, ...Buffer.from('"}')]),
    );
    expect(status).toBe(400);
  });

  it.each(['[]', '"text"', '5', 'null'])('%s is no object: 422', async (text) => {
    expect((await service.post(text)).status).toBe(422);
  });

  it('a body above the limit is a 413, whether it says its length or not', async () => {
    const large = Buffer.alloc(3 * 2 ** 20, 0x20);
    const known = await service.post(large);
    expect([known.status, known.body.error.code]).toEqual([413, 'body_too_large']);
    const chunked = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 3; part++) controller.enqueue(large.subarray(0, 2 ** 20));
        controller.close();
      },
    });
    const unknown = await service.post(chunked);
    expect([unknown.status, unknown.body.error.code]).toEqual([413, 'body_too_large']);
  });

  it('a chunked body below the limit is read', async () => {
    const chunked = new ReadableStream({
      start(controller) {
        for (const part of ['{"prompt": "a", ', '"max_new_tokens": 1}']) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    });
    expect((await service.post(chunked)).status).toBe(200);
  });
});
