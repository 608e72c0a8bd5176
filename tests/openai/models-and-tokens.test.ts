/** stories260K by OpenAI's client and in vLLM's words: what is served, and its tokens. */
import { join } from 'node:path';
import { type InferenceService, startInferenceService } from '@slipway/inference/serve';
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const STORIES = join(import.meta.dirname, '../fixtures/stories260K');

let service: InferenceService;
let client: OpenAI;

async function ask(path: string, body?: object) {
  const response = await fetch(
    service.url + path,
    body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) },
  );
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  return (await response.json()) as any;
}

describe('stories260K', () => {
  beforeAll(async () => {
    const config = await loadServiceConfig({
      flags: { port: 0, host: '127.0.0.1', bucketUrl: STORIES },
      path: null,
    });
    service = await startInferenceService(
      config,
      createLogger({ service: 'test', level: 'silent', destination: silence }),
    );
    await service.loaded;
    client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  afterAll(() => service.close());

  it('is listed with what a page wants to know of it', async () => {
    const { data } = await client.models.list();
    const { manifest } = await service.loaded;
    expect(data).toEqual([
      {
        id: 'stories260K',
        object: 'model',
        created: Math.floor(Date.parse(manifest?.created_at ?? '') / 1000),
        owned_by: 'slipway',
        max_model_len: 512,
        slipway: { chat: false, context_length: 512, precision: manifest?.precision, version: 'v001', loaded: true },
      },
    ]);
    for (const name of ['stories260K', 'stories260K@v001', 'stories260K@latest', 'owner/stories260K']) {
      expect((await client.models.retrieve(name)).id).toBe('stories260K');
    }
  });

  it('tells a story, with the places of its words', async () => {
    const { choices } = await client.completions.create({
      model: 'stories260K',
      prompt: 'Once upon a time',
      max_tokens: 12,
      temperature: 0,
      logprobs: 1,
      echo: true,
    });
    const [{ text = '', logprobs } = {}] = choices;
    expect(text).toMatch(/^Once upon a time, there was a little girl/);
    const { tokens = [], text_offset: offsets = [] } = logprobs ?? {};
    expect(tokens[0]).toBe('<s>');
    expect(logprobs?.token_logprobs?.[0]).toBeNull();
    for (const [index, token] of tokens.entries()) {
      // SentencePiece begins a text with a space that is not in it.
      const written = index <= 1 ? token.trimStart() : token;
      if (index > 0) expect(text.startsWith(written, offsets[index])).toBe(true);
    }
  });

  it('says its tokens, and gives the text back', async () => {
    const { tokens, count, max_model_len, token_strs } = await ask('/tokenize', {
      prompt: 'Once upon a time',
      return_token_strs: true,
    });
    expect(count).toBe(tokens.length);
    expect(max_model_len).toBe(512);
    expect(token_strs[0]).toBe('<s>');
    expect((await ask('/tokenize', { prompt: 'Once upon a time', add_special_tokens: false })).tokens).toEqual(
      tokens.slice(1),
    );
    expect(await ask('/detokenize', { tokens })).toEqual({ prompt: 'Once upon a time' });
    const { usage } = await client.completions.create({
      model: 'stories260K',
      prompt: 'Once upon a time',
      max_tokens: 1,
    });
    expect(usage?.prompt_tokens).toBe(count);
    expect(await ask('/tokenizer_info')).toMatchObject({
      bos_token: '<s>',
      vocab_size: 512,
      chat_template: null,
      add_bos_token: true,
    });
    expect(await ask('/version')).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });
});
