/** Answers of a form that was asked for, through the running service, from a model that likes no form at all. */
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({});
});
afterAll(() => service.close());

const HOT = { prompt: 'Once', temperature: 2, max_new_tokens: 300 };

describe('json_object', () => {
  it('is an object whenever it is whole, and cut only by max_new_tokens', async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, seed) =>
        service.generate({ ...HOT, seed, response_format: { type: 'json_object' }, logit_bias: { 34: 2, 125: 3 } }),
      ),
    );
    let whole = 0;
    for (const { status, body, text } of answers) {
      expect(status, text).toBe(200);
      const [{ finish_reason: reason, token_ids: tokens }] = body.outputs;
      if (reason === 'length') expect(tokens).toHaveLength(300);
      else {
        expect(reason).toBe('eos');
        expect(JSON.parse(body.text)).toBeTypeOf('object');
        whole++;
      }
    }
    expect(whole).toBeGreaterThan(10);
  });

  it('is not cut by stop strings, and streams as it is', async () => {
    const asked = {
      ...HOT,
      seed: 4,
      stop: ['"', '}'],
      response_format: { type: 'json_object' },
      logit_bias: { 125: 4 },
    };
    const { body } = await service.generate(asked);
    expect(body.outputs[0].finish_reason).toBe('eos');
    expect(JSON.parse(body.text)).toBeTypeOf('object');
    const events = await allEvents(await service.stream(asked));
    const texts = events.filter(({ event }) => event === undefined).map(({ data }) => (data as { text: string }).text);
    expect(texts.join('')).toBe(body.text);
  });

  it('ends by itself when nothing may end it, each output of several', async () => {
    const asked = { ...HOT, seed: 1, ignore_eos: true, num_return_sequences: 4, logit_bias: { 125: 50, 34: -100 } };
    const { body } = await service.generate({ ...asked, response_format: { type: 'json_object' } });
    expect(body.outputs.map(({ text, finish_reason }: Record<string, unknown>) => [text, finish_reason])).toEqual(
      Array.from({ length: 4 }, () => ['{}', 'stop']),
    );
  });
});

describe('json_schema', () => {
  it('is valid whenever it is whole, each output of several', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 12 },
        age: { type: 'integer', minimum: 0, maximum: 150 },
        tags: { type: 'array', items: { enum: ['a', 'b'] }, maxItems: 3 },
      },
      required: ['name', 'age'],
      additionalProperties: false,
    };
    const validate = new Ajv().compile(schema);
    const response_format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } };
    for (let seed = 0; seed < 8; seed++) {
      const { body } = await service.generate({ ...HOT, seed, num_return_sequences: 3, response_format });
      for (const { text, finish_reason: reason } of body.outputs) {
        expect(reason).toBe('eos');
        expect(validate(JSON.parse(text)), text).toBe(true);
      }
    }
  });

  it('is refused with the place of what cannot be followed', async () => {
    const schema = { type: 'object', properties: { a: { not: {} } } };
    const { status, body } = await service.generate({
      ...HOT,
      response_format: { type: 'json_schema', json_schema: { schema } },
    });
    expect(status).toBe(422);
    expect(body.error.message).toBe('response_format: "not" cannot be followed (at #/properties/a)');
  });
});

describe('a regular expression', () => {
  it('is matched as a whole', async () => {
    const pattern = '(yes|no), (19|20)\\d{2}-[01]\\d( [a-zé]{2,5}){1,3}';
    for (let seed = 0; seed < 20; seed++) {
      const { body } = await service.generate({ ...HOT, seed, response_format: { type: 'regex', pattern } });
      expect(body.outputs[0].finish_reason).toBe('eos');
      expect(body.text).toMatch(new RegExp(`^(?:${pattern})$`, 'u'));
    }
  });

  it('may be cut by a stop string', async () => {
    const asked = { ...HOT, seed: 2, stop: '-', response_format: { type: 'regex', pattern: '\\d+-\\d+' } };
    const { body } = await service.generate(asked);
    expect(body.outputs[0].finish_reason).toBe('stop');
    expect(body.text).toMatch(/^\d+$/);
  });
});

it.each([
  [{ type: 'regex', pattern: 'a(?=b)' }, {}, 'a look ahead or behind'],
  [{ type: 'regex', pattern: '[ab]' }, { bad_words: ['a', 'b'] }, 'forbidden by the request'],
  [{ type: 'regex', pattern: 'ab' }, { min_new_tokens: 5 }, 'forbidden by the request'],
  [{ type: 'regex', pattern: '' }, {}, 'response_format must be'],
])('%j with %j is refused with the reason', async (response_format, more, message) => {
  const { status, body } = await service.generate({ ...HOT, response_format, ...more });
  expect(status).toBe(422);
  expect(body.error).toMatchObject({ code: 'invalid_field', message: expect.stringContaining(message) });
});

describe('a form without end', () => {
  // The quote that would close the string is as good as forbidden.
  const NEVER_CLOSES = { ...HOT, seed: 5, logit_bias: { 34: -100 }, ignore_eos: true };
  const STRING = { type: 'json_schema', json_schema: { schema: { type: 'string' } } };

  it('is cut by the number of tokens, as an answer and as a stream', async () => {
    const asked = { ...NEVER_CLOSES, max_new_tokens: 120, response_format: STRING };
    const { status, body } = await service.generate(asked);
    expect([status, body.outputs[0].finish_reason, body.usage.completion_tokens]).toEqual([200, 'length', 120]);
    expect(body.text).toMatch(/^"/);
    const events = await allEvents(await service.stream(asked));
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { usage: { completion_tokens: 120 } } });
  });

  it('is cut where a regular expression never has to end', async () => {
    const asked = { ...HOT, seed: 5, ignore_eos: true, max_new_tokens: 90 };
    const { body } = await service.generate({ ...asked, response_format: { type: 'regex', pattern: '(ab+)+' } });
    expect([body.outputs[0].finish_reason, body.usage.completion_tokens]).toEqual(['length', 90]);
    expect(body.text).toMatch(/^(?:ab+)*a?$/);
  });

  it('is ended by its deadline, and its slot is free again', async () => {
    const slow = await startTestService({ decodeDelay: 20, slots: 1, config: { timeoutSeconds: 2 } });
    try {
      const asked = { ...NEVER_CLOSES, max_new_tokens: 500, response_format: STRING };
      const late = await slow.generate(asked);
      expect([late.status, late.body.error.code]).toEqual([504, 'timeout']);
      const events = await allEvents(await slow.stream(asked));
      expect(events.at(-1)).toMatchObject({ event: 'error', data: { error: { code: 'timeout' } } });
      await eventually(
        () => slow.engine.stats(),
        ({ running, waiting }) => running + waiting === 0,
      );
      expect((await slow.generate({ prompt: 'next', max_new_tokens: 2 })).status).toBe(200);
    } finally {
      await slow.close();
    }
  });
});

describe('a form that explodes', () => {
  const nested = (depth: number): object =>
    depth === 0 ? { type: 'null' } : { type: 'array', items: nested(depth - 1) };
  const wide = { anyOf: Array.from({ length: 60 }, (_, index) => ({ required: [`p${index}`] })) };
  const doubled = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [
      `d${index}`,
      { anyOf: [1, 2].map(() => ({ $ref: `#/$defs/d${index + 1}` })) },
    ]),
  );
  const regex = (pattern: string) => ({ type: 'regex', pattern });
  const schema = (of: object) => ({ type: 'json_schema', json_schema: { schema: of } });
  const FORMS: readonly (readonly [string, object])[] = [
    ['repetitions within repetitions', regex('((((a{1,90}){1,90}){1,90}){1,90}){1,90}')],
    ['stars within stars', regex('((a*)*)*b')],
    ['choices that overlap', regex('(a|a|a?)+(a|aa)*(a|aa|aaa)*c')],
    ['what every position could be', regex('(.*a){12}.{40}')],
    ['a high count', regex('[a-z]{100000}')],
    ['many choices', regex(Array.from({ length: 600 }, (_, index) => `w${index}`).join('|'))],
    ['many groups within each other', regex(`${'('.repeat(1500)}a${')'.repeat(1500)}`)],
    ['an enum of many values', schema({ enum: Array.from({ length: 30_000 }, (_, index) => `value ${index}`) })],
    ['a schema that is nested deeply', schema(nested(3000))],
    ['a schema that holds itself', schema({ $ref: '#' })],
    [
      'one that holds itself by its properties',
      schema({ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }),
    ],
    ['choices that multiply', schema({ allOf: Array.from({ length: 30 }, () => wide) })],
    ['references that double', schema({ $defs: { ...doubled, d40: { type: 'null' } }, $ref: '#/$defs/d0' })],
    [
      'many optional properties',
      schema({ type: 'object', properties: Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`p${i}`, {}])) }),
    ],
    ['a long array', schema({ type: 'array', items: { type: 'string', minLength: 50 }, minItems: 5000 })],
  ];

  it.each(FORMS)('%s: refused with the reason, or followed', { timeout: 120_000 }, async (_, response_format) => {
    const answer = service.generate({ ...HOT, seed: 1, max_new_tokens: 40, response_format });
    // Others are answered meanwhile.
    expect((await service.generate({ prompt: 'meanwhile', max_new_tokens: 2 })).status).toBe(200);
    const { status, body } = await answer;
    if (status === 200) expect(['length', 'eos', 'stop']).toContain(body.outputs[0].finish_reason);
    else {
      expect([status, body.error?.code]).toEqual([422, 'invalid_field']);
      expect(body.error.message).toMatch(/^(response_format|the form)/);
      expect(body.error.message.length).toBeLessThan(1000);
    }
  });

  it('none of them has ended the engine, or left anything in it', () => {
    expect(service.engine.restarts()).toBe(0);
    expect(service.engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });
});

it('goes on after the engine has died', async () => {
  const asked = { ...HOT, seed: 3, response_format: { type: 'regex', pattern: '[0-9]{5}' } };
  const { body: before } = await service.generate(asked);
  const state = service.engine.state();
  if (state.kind !== 'ready') throw new Error(state.kind);
  process.kill(state.pid, 'SIGKILL');
  await eventually(
    () => service.engine.state(),
    (now) => now.kind === 'ready' && now.pid !== state.pid,
  );
  const { body: after } = await service.generate(asked);
  expect(after.text ?? after.error).toBe(before.text);
});
