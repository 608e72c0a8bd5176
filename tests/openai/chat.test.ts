/** `/v1/chat/completions` by OpenAI's own client for Node: messages to the template, answers, streams, log probabilities. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../service/testing/test-service.ts';

const TEMPLATE =
  '{%- for m in messages -%}<{{ m.role }}>{{ m.content }}</>{%- endfor -%}{%- if mood -%}({{ mood }}){%- endif -%}{%- if add_generation_prompt -%}<assistant>{%- endif -%}';

let service: TestService;
let client: OpenAI;
beforeAll(async () => {
  service = await startTestService({ chatTemplate: TEMPLATE, contextLength: 512, config: { maxNewTokens: 64 } });
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => service.close());

const greedy = { model: 'synthetic', temperature: 0, ignore_eos: true, max_tokens: 8 };
const hello: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hello' }];

/** What the model read, told by the text that a prompt of it gives. */
async function continuationOf(prompt: string): Promise<string> {
  const { body } = await service.generate({ prompt, temperature: 0, ignore_eos: true, max_new_tokens: 8 });
  return body.text;
}

async function chat(more: object): Promise<string | null | undefined> {
  const { choices } = await client.chat.completions.create({ ...greedy, messages: hello, ...more });
  return choices[0]?.message.content;
}

describe('a chat', () => {
  it('has every field', async () => {
    const answer = await client.chat.completions.create({ ...greedy, messages: hello });
    expect(answer).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'synthetic',
      system_fingerprint: 'fp_test',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: await continuationOf('<user>Hello</><assistant>'), refusal: null },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: {
        prompt_tokens: '<user>Hello</><assistant>'.length,
        completion_tokens: 8,
        total_tokens: 33,
        prompt_tokens_details: { cached_tokens: expect.any(Number) },
      },
    });
  });

  it('gives messages to the template as they are, parts joined, developers as system', async () => {
    const messages = [
      { role: 'developer', content: 'Be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'one' },
          { type: 'text', text: 'two' },
        ],
      },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'user', content: 'three' },
    ];
    expect(await chat({ messages })).toBe(
      await continuationOf('<system>Be brief</><user>one\ntwo</><assistant></><user>three</><assistant>'),
    );
  });

  it('can go on with the last message, or leave open who speaks', async () => {
    const messages = [...hello, { role: 'assistant', content: 'Well, ' }];
    expect(await chat({ messages, continue_final_message: true })).toBe(
      await continuationOf('<user>Hello</><assistant>Well, '),
    );
    expect(await chat({ add_generation_prompt: false })).toBe(await continuationOf('<user>Hello</>'));
    expect(await chat({ chat_template_kwargs: { mood: 'calm' } })).toBe(
      await continuationOf('<user>Hello</>(calm)<assistant>'),
    );
  });

  it('may be as long as any answer when nothing is said, and max_completion_tokens comes before max_tokens', async () => {
    const count = async (more: object) =>
      (await client.chat.completions.create({ ...greedy, messages: hello, ...more })).usage?.completion_tokens;
    expect(await count({ max_tokens: null })).toBe(64);
    expect(await count({ max_tokens: 3, max_completion_tokens: 2 })).toBe(2);
  });

  it('has log probabilities with bytes', async () => {
    const { choices } = await client.chat.completions.create({
      ...greedy,
      messages: hello,
      logprobs: true,
      top_logprobs: 2,
      max_tokens: 2,
      logit_bias: { 65: 100 },
    });
    const { content } = choices[0]?.logprobs ?? {};
    expect(content).toHaveLength(2);
    expect(content?.[0]).toMatchObject({ token: 'A', bytes: [65], logprob: expect.any(Number) });
    expect(content?.[0]?.top_logprobs).toHaveLength(2);
  });

  it('too long for the model is refused, or loses its oldest turns when that is allowed', async () => {
    const messages = Array.from({ length: 9 }, (_, index) => ({
      role: index % 2 === 0 ? 'user' : 'assistant',
      content: `${index}`.repeat(80),
    }));
    const refused = chat({ messages });
    await expect(refused).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' });
    const { data, response } = await client.chat.completions
      .create({ ...greedy, messages: messages as OpenAI.ChatCompletionMessageParam[], ...{ truncation: 'auto' } })
      .withResponse();
    expect(data.usage?.prompt_tokens).toBeLessThan(512);
    expect(response.headers.get('warnings')).toMatch(/^"the oldest \d messages were left out/);
  });
});

describe('a stream', () => {
  it('begins with the role, and joined is the whole answer', async () => {
    const asked = { ...greedy, messages: hello, n: 2, temperature: 1, seed: 4, max_tokens: 40, logprobs: true };
    const whole = await client.chat.completions.create(asked);
    const joined = whole.choices.map(() => ({ text: '', tokens: 0, reason: '' }));
    const seen = new Set<number>();
    for await (const { choices, object } of await client.chat.completions.create({ ...asked, stream: true })) {
      expect(object).toBe('chat.completion.chunk');
      for (const { index, delta, finish_reason, logprobs } of choices) {
        const one = joined[index];
        if (one === undefined) throw new Error(`there is no choice ${index}`);
        expect(delta.role).toBe(seen.has(index) ? undefined : 'assistant');
        seen.add(index);
        one.text += delta.content ?? '';
        one.tokens += logprobs?.content?.length ?? 0;
        if (finish_reason !== null) one.reason += finish_reason;
      }
    }
    expect(joined).toEqual(
      whole.choices.map(({ message, logprobs, finish_reason }) => ({
        text: message.content,
        tokens: logprobs?.content?.length,
        reason: finish_reason,
      })),
    );
  });

  it('is read by the client’s own helper, with the usage at its end', async () => {
    const stream = client.chat.completions.stream({
      ...greedy,
      messages: hello,
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(await continuationOf('<user>Hello</><assistant>'));
    expect(final.usage).toMatchObject({ completion_tokens: 8 });
  });

  it('tells an engine that dies as an error, and is not taken for whole', async () => {
    const slow = await startTestService({ chatTemplate: TEMPLATE, decodeDelay: 20 });
    try {
      const impatient = new OpenAI({ baseURL: `${slow.url}/v1`, apiKey: 'none', maxRetries: 0 });
      const stream = await impatient.chat.completions.create({
        ...greedy,
        messages: hello,
        max_tokens: 400,
        stream: true,
      });
      const state = slow.engine.state();
      const read = async () => {
        for await (const _ of stream) if (state.kind === 'ready') process.kill(state.pid, 'SIGKILL');
      };
      await expect(read()).rejects.toMatchObject({ code: 'engine_failed', type: 'server_error' });
    } finally {
      await slow.close();
    }
  });
});
