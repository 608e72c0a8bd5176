/** Tools by OpenAI's own client for Node: calls that are enforced, calls that are read back, and what comes of both in the next turn. */
import { Ajv } from 'ajv';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answered, startTestService, type TestService } from '../service/testing/test-service.ts';

/** As Qwen's: tools and calls in Hermes' words. */
const TEMPLATE = `
{%- if tools %}{% for tool in tools %}<tool>{{ tool | tojson }}</tool>{% endfor %}As <tool_call>{"name": ..., "arguments": ...}</tool_call>{% endif -%}
{%- for m in messages -%}
<{{ m.role }}>{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>{% endfor %}</>
{%- endfor -%}
{%- if add_generation_prompt -%}<assistant>{%- endif -%}`;
const LLAMA_TEMPLATE = '{{ tools }}<|python_tag|>{% for m in messages %}{{ m.content }}{% endfor %}';
const NO_TOOLS_TEMPLATE = '{% for m in messages %}{{ m.content }}{% endfor %}';

const WEATHER = {
  type: 'object',
  properties: {
    city: { type: 'string', minLength: 1, maxLength: 12 },
    unit: { enum: ['celsius', 'fahrenheit'] },
    days: { type: 'array', items: { type: 'integer', minimum: 1, maximum: 7 }, maxItems: 3 },
  },
  required: ['city', 'unit'],
  additionalProperties: false,
};
const MOVE = {
  type: 'object',
  properties: { city: { $ref: '#/$defs/place' } },
  required: ['city'],
  additionalProperties: false,
  $defs: { place: { type: 'object', properties: { x: { type: 'integer' } }, required: ['x'] } },
};
const tools: OpenAI.ChatCompletionFunctionTool[] = [
  { type: 'function', function: { name: 'weather', description: 'Tells the weather', parameters: WEATHER } },
  { type: 'function', function: { name: 'move', parameters: MOVE } },
  { type: 'function', function: { name: 'now' } },
];
const ajv = new Ajv();
const validators = {
  weather: ajv.compile(WEATHER),
  move: ajv.compile(MOVE),
  now: ajv.compile({ type: 'object', maxProperties: 0 }),
};
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'How is it in Oslo?' }];
const asked = { model: 'synthetic', messages, tools, temperature: 1.5, max_tokens: 900 };

let hermes: TestService;
let llama: TestService;
let client: OpenAI;
let llamaClient: OpenAI;
const clientOf = ({ url }: TestService) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
beforeAll(async () => {
  const config = { maxNewTokens: 1000 };
  hermes = await startTestService({ chatTemplate: TEMPLATE, contextLength: 4096, config });
  llama = await startTestService({ chatTemplate: LLAMA_TEMPLATE, contextLength: 4096, config });
  client = clientOf(hermes);
  llamaClient = clientOf(llama);
});
afterAll(() => Promise.all([hermes.close(), llama.close()]));

function check(calls: readonly OpenAI.ChatCompletionMessageToolCall[] | undefined): string[] {
  return (calls ?? []).map((call) => {
    if (call.type !== 'function') throw new Error(call.type);
    const { name, arguments: json } = call.function;
    const validate = Object.entries(validators).find(([tool]) => tool === name)?.[1];
    expect(validate?.(JSON.parse(json)), `${name} ${json}`).toBe(true);
    expect(call.id).toMatch(/^[0-9a-z]{9}$/);
    return name;
  });
}

describe('a call that must be', () => {
  it('always is one, with valid arguments, whatever the model likes', async () => {
    const seen = new Set<string>();
    for (const [which, most] of [
      [client, 16],
      [llamaClient, 1],
    ] as const) {
      for (let seed = 0; seed < 12; seed++) {
        const { choices } = await which.chat.completions.create({ ...asked, seed, tool_choice: 'required' });
        const [choice] = choices;
        if (choice?.finish_reason === 'length') continue;
        const names = check(choice?.message.tool_calls);
        expect(names.length).toBeGreaterThan(0);
        expect(names.length).toBeLessThanOrEqual(most);
        expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
        for (const name of names) seen.add(name);
      }
    }
    expect([...seen].sort()).toEqual(['move', 'now', 'weather']);
  });

  it('is the one that is named, once', async () => {
    for (const which of [client, llamaClient]) {
      for (let seed = 0; seed < 4; seed++) {
        const { choices } = await which.chat.completions.create({
          ...asked,
          seed,
          n: 2,
          tool_choice: { type: 'function', function: { name: 'weather' } },
        });
        for (const { message, finish_reason } of choices) {
          expect([check(message.tool_calls), finish_reason]).toEqual([['weather'], 'tool_calls']);
        }
      }
    }
  });

  it('is a single one without parallel_tool_calls', async () => {
    for (let seed = 0; seed < 8; seed++) {
      const { choices } = await client.chat.completions.create({
        ...asked,
        seed,
        tool_choice: 'required',
        parallel_tool_calls: false,
      });
      expect(check(choices[0]?.message.tool_calls)).toHaveLength(1);
    }
  });

  it('streams: the name first, then the arguments, joined the whole answer', async () => {
    const request = { ...asked, seed: 5, n: 2, tool_choice: 'required' as const };
    const whole = await client.chat.completions.create(request);
    const pieces: string[] = [];
    const stream = client.chat.completions.stream(request);
    stream.on('chunk', ({ choices }) => {
      for (const { delta } of choices) {
        expect(delta.content ?? '').toBe('');
        for (const { id, type, function: called } of delta.tool_calls ?? []) {
          expect([id !== undefined, type === 'function', called?.arguments === '']).toEqual(
            new Array(3).fill(called?.name !== undefined),
          );
          pieces.push(called?.arguments ?? '');
        }
      }
    });
    const final = await stream.finalChatCompletion();
    const said = ({ choices }: OpenAI.ChatCompletion) =>
      choices.map(({ message, finish_reason }) => [
        (message.tool_calls ?? []).map(
          (call) => call.type === 'function' && [call.function.name, call.function.arguments],
        ),
        finish_reason,
      ]);
    expect(said(final)).toEqual(said(whole));
    expect(pieces.length).toBeGreaterThan(20);
  });

  it('that is cut by max_tokens says so', async () => {
    const { choices } = await client.chat.completions.create({
      ...asked,
      max_tokens: 60,
      tool_choice: { type: 'function', function: { name: 'weather' } },
    });
    expect(choices[0]).toMatchObject({
      finish_reason: 'length',
      message: { content: null, tool_calls: [{ function: { name: 'weather' } }] },
    });
  });
});

/** The model writes this text: held to a regular expression that nothing else fits. */
const writing = (text: string) => ({
  structured_outputs: { regex: text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&') },
  tool_choice: 'auto' as const,
});
const OSLO = '{"city": "Oslo", "unit": "celsius"}';
const CALL = `<tool_call>\n{"name": "weather", "arguments": ${OSLO}}\n</tool_call>`;

describe('what the model writes of itself', () => {
  it.each([
    ['text', 'It rains <b>', { content: 'It rains <b>' }, 'stop'],
    ['a call', CALL, { content: null, tool_calls: [{ function: { name: 'weather', arguments: OSLO } }] }, 'tool_calls'],
    [
      'text and calls',
      `Let me look.\n${CALL}\n<tool_call>{"name": "now"}</tool_call>`,
      {
        content: 'Let me look.',
        tool_calls: [
          { type: 'function', id: expect.any(String), function: { name: 'weather', arguments: OSLO } },
          { type: 'function', id: expect.any(String), function: { name: 'now', arguments: '{}' } },
        ],
      },
      'tool_calls',
    ],
    ['a broken call', '<tool_call>{"name": "now", ', { content: '<tool_call>{"name": "now", ' }, 'stop'],
  ])('is read back: %s', async (_, text, message, finish_reason) => {
    const request = { ...asked, ...writing(text) };
    const { choices } = await client.chat.completions.create(request);
    expect(choices[0]).toMatchObject({ message, finish_reason });
    const streamed = (await client.chat.completions.stream(request).finalChatCompletion()).choices[0];
    expect(streamed).toMatchObject({ finish_reason, message: { ...message, content: message.content ?? null } });
  });

  it('never shows a marker in a stream, nor half of one', async () => {
    let content = '';
    const stream = await client.chat.completions.create({ ...asked, ...writing(`Hm ${CALL}`), stream: true });
    for await (const { choices } of stream) content += choices[0]?.delta.content ?? '';
    expect(content).toBe('Hm');
  });

  it('is one call at most without parallel_tool_calls', async () => {
    const request = { ...asked, ...writing(`${CALL}${CALL}`), parallel_tool_calls: false };
    expect((await client.chat.completions.create(request)).choices[0]?.message.tool_calls).toHaveLength(1);
  });

  it('is all text with tool_choice none, and the model is not told of tools', async () => {
    const request = { ...asked, ...writing(CALL), tool_choice: 'none' as const };
    const { choices, usage } = await client.chat.completions.create(request);
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: CALL } });
    expect(usage?.prompt_tokens).toBe('<user>How is it in Oslo?</><assistant>'.length);
  });

  it('with a JSON response_format is a call or such an answer', async () => {
    const schema = {
      type: 'object',
      properties: { mood: { enum: ['good', 'bad'] } },
      required: ['mood'],
      additionalProperties: false,
    };
    const kinds = new Set<string>();
    for (let seed = 0; seed < 24 && kinds.size < 2; seed++) {
      const { choices } = await client.chat.completions.create({
        ...asked,
        seed,
        response_format: { type: 'json_schema', json_schema: { name: 'mood', schema } },
      });
      const [choice] = choices;
      if (choice?.finish_reason === 'length') continue;
      const calls = check(choice?.message.tool_calls);
      if (calls.length === 0) expect(['good', 'bad']).toContain(JSON.parse(choice?.message.content ?? '').mood);
      kinds.add(calls.length === 0 ? 'answer' : 'call');
    }
    expect(kinds.size).toBe(2);
  });
});

describe('the client’s own loop', () => {
  it('runs the function, and what it gave is in the next turn', async () => {
    const cities: unknown[] = [];
    const runner = client.chat.completions.runTools({
      ...asked,
      tool_choice: { type: 'function', function: { name: 'weather' } },
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'Tells the weather',
            parameters: WEATHER,
            parse: JSON.parse,
            function(given: { city: string }) {
              cities.push(given.city);
              return 'rain';
            },
          },
        },
      ],
    });
    await runner.done();
    expect(cities).toEqual([expect.any(String)]);
    expect(runner.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
    const answer = await client.chat.completions.create({ ...asked, messages: runner.messages, ...writing('Wet') });
    expect(answer.choices[0]?.message.content).toBe('Wet');
  });

  it('gives calls to the template as objects', async () => {
    const turn = {
      messages: [
        ...messages,
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'weather', arguments: OSLO } }],
        },
        { role: 'tool', tool_call_id: 'a', content: 'rain' },
      ],
    };
    const post = async (path: string, body: object) =>
      answered(await fetch(hermes.url + path, { method: 'POST', body: JSON.stringify(body) }));
    const { tokens } = (await post('/tokenize', turn)).body;
    expect((await post('/detokenize', { tokens })).body.prompt).toBe(
      `<user>How is it in Oslo?</><assistant><tool_call>{"name": "weather", "arguments": ${OSLO}}</tool_call></><tool>rain</><assistant>`,
    );
  });
});

describe('a wrong wish', () => {
  it.each([
    [{ tool_choice: { type: 'function', function: { name: 'rain' } } }, 'tool_choice', 'names "rain"'],
    [{ tools: [], tool_choice: 'required' }, 'tool_choice', 'there are no tools'],
    [{ tools: [...tools, tools[0]] }, 'tools', 'two functions with the name weather'],
    [
      {
        tools: [{ type: 'function', function: { name: 'f', parameters: { properties: { a: { not: {} } } } } }],
        tool_choice: 'required',
      },
      'tools',
      'a call of f cannot be enforced, because of its parameters: "not" cannot be followed (at #/properties/a)',
    ],
    [{ tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'string' } } }] }, 'tools', 'parameters'],
  ])('is refused: %j', async (more, param, message) => {
    const request = client.chat.completions.create({ ...asked, ...(more as object) });
    await expect(request).rejects.toMatchObject({ status: 400, param, message: expect.stringContaining(message) });
  });

  it('for a model that was never shown a tool is told, and still enforced', async () => {
    const plain = await startTestService({ chatTemplate: NO_TOOLS_TEMPLATE });
    try {
      const { data, response } = await clientOf(plain)
        .chat.completions.create({ ...asked, tool_choice: { type: 'function', function: { name: 'weather' } } })
        .withResponse();
      expect(response.headers.get('warnings')).toContain('says nothing of tools');
      expect(check(data.choices[0]?.message.tool_calls)).toEqual(['weather']);
    } finally {
      await plain.close();
    }
  });
});
