import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { renderChat } from './chat-template.ts';
import { formatTime } from './format-time.ts';

const CASES = join(import.meta.dirname, '../../../shared/data/templates');
const plain = { model: 'm', addGenerationPrompt: true, bosToken: '<s>', eosToken: '</s>' };
const hello = [{ role: 'user', content: 'Hello' }];

const Case = z.object({
  name: z.string(),
  template: z.string(),
  context: z.looseObject({
    messages: z.array(z.unknown()),
    tools: z.array(z.unknown()).optional(),
    add_generation_prompt: z.boolean().optional(),
    bos_token: z.string().default(''),
    eos_token: z.string().default(''),
  }),
  expected: z.string(),
});

describe.skipIf(!existsSync(CASES))(
  'real templates give what Python’s jinja2 gives (needs ../shared/data/templates)',
  () => {
    const files = existsSync(CASES) ? ['hf-jinja-cases.jsonl', 'llama-cpp-cases.jsonl'] : [];
    const lines = files.flatMap((file) => readFileSync(join(CASES, file), 'utf8').trim().split('\n'));
    const cases = lines.map((line) => Case.parse(JSON.parse(line)));
    test.each(cases.map((one) => [one.name, one] as const))('%s', (_, { template, context, expected }) => {
      const { messages, tools, add_generation_prompt, bos_token, eos_token, ...variables } = context;
      const rendered = renderChat(template, {
        model: 'm',
        messages,
        tools,
        // transformers always says it; one of the cases does not and means what its template makes of that.
        addGenerationPrompt: add_generation_prompt ?? template.includes('add_generation_prompt is not defined'),
        bosToken: bos_token,
        eosToken: eos_token,
        variables,
        now: new Date('2025-07-10T12:00:00Z'),
      });
      expect(rendered).toBe(expected);
    });
  },
);

describe('renderChat', () => {
  test('leaves out generation tags and keeps what is between them', () => {
    const template =
      '{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}';
    expect(renderChat(template, { ...plain, messages: hello })).toBe('user: Hello');
  });

  test('the template can refuse, and the user reads why', () => {
    const template = "{{ raise_exception('roles must alternate') }}";
    expect(() => renderChat(template, { ...plain, messages: hello })).toThrow(
      expect.objectContaining({ code: 'invalid_field', message: expect.stringContaining('roles must alternate') }),
    );
  });

  test('a broken template is the source’s fault, messages it cannot take are the caller’s', () => {
    expect(() => renderChat('{% for %}', { ...plain, messages: [] })).toThrow(
      expect.objectContaining({ code: 'invalid_source' }),
    );
    expect(() => renderChat('{{ messages[0].content.nothing() }}', { ...plain, messages: hello })).toThrow(
      expect.objectContaining({ code: 'invalid_field' }),
    );
  });

  test('variables of the caller do not replace the messages', () => {
    const variables = { messages: [{ role: 'user', content: 'other' }], mood: 'calm' };
    const text = renderChat('{{ messages[0].content }} {{ mood }}', { ...plain, messages: hello, variables });
    expect(text).toBe('Hello calm');
  });

  test('tools are none when there are none, as in transformers', () => {
    const template = "{{ 'tools' if tools is not none else 'no tools' }}{{ range(3)|length }}";
    expect(renderChat(template, { ...plain, messages: hello })).toBe('no tools3');
    expect(renderChat(template, { ...plain, messages: hello, tools: [{}] })).toBe('tools3');
  });
});

test('time is written in English', () => {
  expect(formatTime(new Date(2025, 6, 4, 15, 5, 9), '%A %a %d %B %b %m %Y %y %H %I %p %M %S %% %Q')).toBe(
    'Friday Fri 04 July Jul 07 2025 25 15 03 PM 05 09 % %Q',
  );
});
