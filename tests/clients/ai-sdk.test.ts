/** The Vercel AI SDK against a running service: text, streams, tools with the loop that runs them, objects, errors. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startTestService, type TestService } from '../service/testing/test-service.ts';

const TEMPLATE = `{%- if tools %}{{ tools | tojson }}<tool_call>{% endif -%}
{%- for m in messages -%}<{{ m.role }}>{{ m.content }}{% for call in m.tool_calls or [] %}{{ call.function.arguments | tojson }}{% endfor %}{%- endfor -%}`;

let service: TestService;
let provider: ReturnType<typeof createOpenAICompatible>;
beforeAll(async () => {
  service = await startTestService({ chatTemplate: TEMPLATE, contextLength: 4096, config: { maxNewTokens: 900 } });
  provider = createOpenAICompatible({
    name: 'slipway',
    baseURL: `${service.url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
});
afterAll(() => service.close());

const model = () => provider.chatModel('synthetic');
const few = { prompt: 'Hello', maxOutputTokens: 12, temperature: 0, maxRetries: 0 };
const City = z.object({ city: z.string().min(1).max(8) });

describe('text', () => {
  it('is generated, with its usage and the reason of its end', async () => {
    const { text, usage, finishReason } = await generateText({ model: model(), ...few });
    const { body } = await service.generate({ prompt: '<user>Hello', max_new_tokens: 12, temperature: 0 });
    expect(text).toBe(body.text);
    expect(usage).toMatchObject({ inputTokens: '<user>Hello'.length, outputTokens: body.usage.completion_tokens });
    expect(finishReason).toBe(body.outputs[0].finish_reason === 'length' ? 'length' : 'stop');
  });

  it('is streamed', async () => {
    const whole = await generateText({ model: model(), ...few });
    const result = streamText({ model: model(), ...few });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    expect(text).toBe(whole.text);
    expect((await result.usage).outputTokens).toBe(whole.usage.outputTokens);
  });

  it('is completed', async () => {
    const { text } = await generateText({ model: provider.completionModel('synthetic'), ...few });
    expect(text.length).toBeGreaterThan(0);
  });
});

describe('tools', () => {
  const cities: string[] = [];
  const tools = {
    weather: tool({
      description: 'Tells the weather',
      inputSchema: City,
      execute: async ({ city }) => {
        cities.push(city);
        return { sky: `blue over ${city}` };
      },
    }),
  };
  const asked = { prompt: 'How is it in Oslo?', maxRetries: 0, maxOutputTokens: 200, tools, seed: 3 } as const;

  it('are called and run, and the result goes into the next step', async () => {
    const { steps } = await generateText({
      model: model(),
      ...asked,
      toolChoice: { type: 'tool', toolName: 'weather' },
      stopWhen: stepCountIs(2),
    });
    expect(steps).toHaveLength(2);
    for (const { toolCalls, toolResults, finishReason } of steps) {
      expect(finishReason).toBe('tool-calls');
      expect(toolCalls).toHaveLength(1);
      const input = City.parse(toolCalls[0]?.input);
      expect(toolResults[0]?.output).toEqual({ sky: `blue over ${input.city}` });
      expect(cities).toContain(input.city);
    }
    // What was called and what came of it is read by the model.
    expect(steps[1]?.usage.inputTokens).toBeGreaterThan((steps[0]?.usage.inputTokens ?? 0) + 20);
  });

  it('are called in a stream, their input in pieces', async () => {
    const result = streamText({ model: model(), ...asked, toolChoice: 'required' });
    let json = '';
    const kinds: string[] = [];
    for await (const part of result.fullStream) {
      if (part.type === 'error') throw part.error;
      if (part.type === 'tool-input-delta') json += part.delta;
      if (part.type === 'tool-call') kinds.push(part.toolName);
    }
    const calls = await result.toolCalls;
    expect(kinds).toEqual(calls.map(() => 'weather'));
    expect(json).toBe(calls.map(({ input }) => JSON.stringify(input)).join(''));
  });
});

describe('objects', () => {
  const Person = z.object({
    name: z.string().max(6),
    age: z.int().min(0).max(120),
    tags: z.array(z.enum(['a', 'b'])).max(2),
  });
  const asked = { prompt: 'Who?', temperature: 1.5, maxRetries: 0, maxOutputTokens: 300 };

  it('follow their schema', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const { output } = await generateText({
        model: model(),
        ...asked,
        seed,
        output: Output.object({ schema: Person }),
      });
      expect(Person.parse(output)).toEqual(output);
    }
  });

  it('are streamed', async () => {
    const { partialOutputStream, output } = streamText({
      model: model(),
      ...asked,
      seed: 9,
      output: Output.object({ schema: Person }),
    });
    let last: unknown;
    for await (const partial of partialOutputStream) last = partial;
    expect(last).toEqual(Person.parse(await output));
  });
});

it('errors have the status and the words of the service', async () => {
  const failing = generateText({ model: provider.chatModel('nothing'), ...few });
  const error = await failing.catch((thrown: unknown) => thrown);
  expect(APICallError.isInstance(error)).toBe(true);
  expect(error).toMatchObject({ statusCode: 404, isRetryable: false, message: expect.stringContaining('not served') });
});
