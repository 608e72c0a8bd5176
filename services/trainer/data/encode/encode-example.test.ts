import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Conversation, Example } from '../canonical.ts';
import { convertRecord } from '../formats/convert-record.ts';
import { preflight } from '../preflight.ts';
import type { TemplateName } from '../templates/find-template.ts';
import { type TinyOptions, tinyText } from '../testing/tiny-text.ts';
import { openTextSide, type TextSide } from '../text-side.ts';
import { encodeExample } from './encode-example.ts';

const SPECIAL = [
  '<s>',
  '</s>',
  '<|im_start|>',
  '<|im_end|>',
  '<|begin_of_text|>',
  '<|end_of_text|>',
  '<|start_header_id|>',
  '<|end_header_id|>',
  '<|eot_id|>',
  '<|user|>',
  '<|assistant|>',
  '<|system|>',
  '<|end|>',
];

function sideOf(template: TemplateName, options: TinyOptions = {}): TextSide {
  return openTextSide(tinyText({ special: SPECIAL, ...options }), template);
}

/** What is trained of each example that comes out, as text: parts that are not trained are left out, with a bar between what is apart. */
function trained(example: Example, side: TextSide): string[] {
  return encodeExample(example, side).encoded.map(({ ids, mask }) =>
    ids
      .map((id, at) => (mask === null || mask[at] === 1 ? piece(id) : '|'))
      .join('')
      .replaceAll(/\|+/g, '|'),
  );
}

function whole(example: Example, side: TextSide): string[] {
  return encodeExample(example, side).encoded.map(({ ids }) => ids.map(piece).join(''));
}

const piece = (id: number) => (id < 256 ? String.fromCharCode(id) : (SPECIAL[id - 256] ?? '?'));

const CHAT: Conversation = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: '2+2?' },
    { role: 'assistant', content: '4' },
  ],
};

describe('what is trained is what the server would have to answer', () => {
  test.each<[TemplateName, TinyOptions, string, string]>([
    [
      'chatml',
      {},
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>\n',
      '|Hello.<|im_end|>|4<|im_end|>|',
    ],
    [
      'llama3',
      { bos: '<|begin_of_text|>', eos: ['<|end_of_text|>'], addBos: true },
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n4<|eot_id|>',
      '|Hello.<|eot_id|>|4<|eot_id|>',
    ],
    [
      'llama2',
      { bos: '<s>', addBos: true },
      '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] 2+2? [/INST] 4 </s>',
      '| Hello. </s>| 4 </s>',
    ],
    [
      'phi',
      { eos: ['</s>'] },
      '<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\n2+2?<|end|>\n<|assistant|>\n4<|end|>\n',
      '|Hello.<|end|>|4<|end|>|',
    ],
    [
      'alpaca',
      { bos: '<s>', addBos: true },
      '<s>Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello.</s>\n\n### Instruction:\n2+2?\n\n### Response:\n4</s>',
      '|Hello.</s>|4</s>',
    ],
  ])('%s', (template, options, text, learnt) => {
    const side = sideOf(template, options);
    expect(whole(CHAT, side)).toEqual([text]);
    expect(trained(CHAT, side)).toEqual([learnt]);
  });

  test('BOS is there once, although the tokenizer would add one', () => {
    const side = sideOf('llama3', { bos: '<|begin_of_text|>', eos: ['<|end_of_text|>'], addBos: true });
    const [text = ''] = whole(CHAT, side);
    expect(text.split('<|begin_of_text|>')).toHaveLength(2);
    expect(whole({ prompt: 'a', completion: 'b' }, side)).toEqual(['<|begin_of_text|>ab<|end_of_text|>']);
    expect(whole({ text: 'a' }, side)).toEqual(['<|begin_of_text|>a<|end_of_text|>']);
  });

  test('only the turns that are named', () => {
    expect(trained({ ...CHAT, trained_turns: [4] }, sideOf('chatml'))).toEqual(['|4<|im_end|>|']);
    const weighted = {
      messages: CHAT.messages.map((message, index) => (index === 2 ? { ...message, weight: 0 } : message)),
    };
    const converted = convertRecord(weighted, { format: 'auto', columns: {} });
    expect(converted).toMatchObject({ kind: 'example', example: { trained_turns: [4] } });
  });

  test('a prompt is not trained, its completion and the end are, and tokens written in them are text', () => {
    const side = sideOf('model');
    expect(trained({ prompt: '2+2=', completion: '4' }, side)).toEqual(['|4</s>']);
    expect(encodeExample({ prompt: '<s>', completion: '</s>' }, side).encoded[0]?.ids).toEqual([
      ...Buffer.from('<s></s>'),
      257,
    ]);
  });

  test('text is trained whole; a passage that goes on has no end', () => {
    const side = sideOf('model');
    expect(encodeExample({ text: 'ab', continued: true }, side).encoded).toMatchObject([{ ids: [97, 98], mask: null }]);
    expect(trained({ text: 'ab', begins: false }, side)).toEqual(['ab</s>']);
  });

  test('braces in the data are data', () => {
    const example: Conversation = {
      messages: [
        { role: 'user', content: 'Who are {{ you }}? {% raw %}' },
        { role: 'assistant', content: 'I am {{name}}.' },
      ],
    };
    expect(trained(example, sideOf('chatml'))).toEqual(['|I am {{name}}.<|im_end|>|']);
  });
});

const QWEN_THINKING = `{%- set ns = namespace(last=0) -%}
{%- for message in messages -%}{%- if message.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for message in messages -%}
{%- set content = message.content -%}
{%- if message.role == 'assistant' and '</think>' in content and loop.index0 < ns.last -%}
{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
{{ '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}`;

describe('a template that rewrites earlier turns', () => {
  const thinking: Conversation = {
    messages: [
      { role: 'user', content: 'a?' },
      { role: 'assistant', content: '<think>\nx\n</think>\n\nA' },
      { role: 'user', content: 'b?' },
      { role: 'assistant', content: '<think>\ny\n</think>\n\nB' },
    ],
  };

  test('makes each rewritten turn an example of its own, with all it would have to answer', () => {
    const side = sideOf('model', { chatTemplate: QWEN_THINKING, eos: ['<|im_end|>'] });
    expect(trained(thinking, side)).toEqual([
      '|<think>\nx\n</think>\n\nA<|im_end|>|',
      '|<think>\ny\n</think>\n\nB<|im_end|>|',
    ]);
    const { encoded } = encodeExample(thinking, side);
    expect(encoded.map(({ example }) => example)).toEqual([
      { messages: thinking.messages.slice(0, 2), trained_turns: [1] },
      { messages: thinking.messages, trained_turns: [3] },
    ]);
  });

  test('and turns that it leaves alone stay where they are', () => {
    const side = sideOf('model', { chatTemplate: QWEN_THINKING, eos: ['<|im_end|>'] });
    expect(trained(CHAT, side)).toEqual(['|Hello.<|im_end|>|4<|im_end|>|']);
  });
});

describe('what could not be learnt is told', () => {
  const limits = { maxLength: 'auto', truncated: 0.05, contextLength: 512, vocabularySize: 300 } as const;
  const simple = (end: string) =>
    `{%- for m in messages -%}{{ '<|' + m.role + '|>' + m.content + '${end}' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}`;
  const line = JSON.stringify(CHAT);

  test('a template without an end of turn', () => {
    const side = sideOf('model', { chatTemplate: simple('') });
    expect(() => preflight([line], side, limits)).toThrow(
      /1 of 1 examples have an answer that no stop token ends.*stops at <\/s>/,
    );
  });

  test('an end of turn that is none of the model’s stop tokens', () => {
    const side = sideOf('model', { chatTemplate: simple('<|im_end|>'), eos: ['</s>'] });
    expect(() => preflight([line], side, limits)).toThrow(/no stop token ends/);
    expect(() =>
      preflight([line], sideOf('model', { chatTemplate: simple('<|im_end|>'), eos: ['<|im_end|>'] }), limits),
    ).not.toThrow();
  });

  test('an end of the user’s turn does not end the answer before it', () => {
    const template = `{%- for m in messages -%}{{ '<|' + m.role + '|>' + m.content + ('<|im_end|>' if m.role == 'user' else '') }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}`;
    const side = sideOf('model', { chatTemplate: template, eos: ['<|im_end|>'] });
    expect(() => preflight([line], side, limits)).toThrow(/no stop token ends/);
    expect(trained(CHAT, side)).toEqual(['|Hello.|4']);
  });

  test('a generation prompt that answers never begin with', () => {
    const template = `{%- for m in messages -%}{{ '<|' + m.role + '|>' + m.content + '<|im_end|>' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|assistant|><think>' }}{%- endif -%}`;
    const side = sideOf('model', { chatTemplate: template, eos: ['<|im_end|>'] });
    expect(encodeExample(CHAT, side)).toMatchObject({
      encoded: [],
      rejected: [/messages\[2\]/, /messages\[4\]/].map((re) => expect.stringMatching(re)),
    });
    expect(() => preflight([line], side, limits)).toThrow(/none of 1 examples looked at can be trained/);
  });

  test('a template that leaves answers out', () => {
    const template = `{%- for m in messages if m.role != 'assistant' -%}{{ m.content }}{%- endfor -%}`;
    const side = sideOf('model', { chatTemplate: template, eos: ['<|im_end|>'] });
    expect(encodeExample({ messages: CHAT.messages.slice(0, 3) }, side).rejected).toEqual([
      expect.stringContaining('leaves nothing of the answer'),
    ]);
  });

  test('tools that the template does not write', () => {
    const example: Conversation = {
      messages: [
        { role: 'user', content: 'Time?' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ type: 'function', function: { name: 'now', arguments: {} } }],
        },
      ],
    };
    expect(encodeExample(example, sideOf('chatml')).rejected).toEqual([expect.stringContaining('they use tools')]);
  });

  test('no token that ends a text, a vocabulary that is too small', () => {
    const endless = sideOf('model', { chatTemplate: simple('</s>'), eos: [] });
    expect(() => preflight([line], endless, limits)).toThrow(/no token that ends a text/);
    expect(() => preflight([line], sideOf('chatml'), { ...limits, vocabularySize: 258 })).toThrow(
      /token id 259, and the model's vocabulary ends at 257/,
    );
  });

  test('pad == eos changes nothing: the end is trained', () => {
    const text = tinyText({ special: SPECIAL, eos: ['<|im_end|>'] });
    const side = openTextSide(
      { ...text, tokenizerConfig: { pad_token: '<|im_end|>', eos_token: '<|im_end|>' } },
      'chatml',
    );
    expect(trained(CHAT, side)).toEqual(['|Hello.<|im_end|>|4<|im_end|>|']);
  });
});

const TEMPLATES = join(import.meta.dirname, '../../../../../shared/data/templates/jinja');

describe.skipIf(!existsSync(TEMPLATES))('real templates', () => {
  const template = (name: string) => readFileSync(join(TEMPLATES, name), 'utf8');
  const special = [...SPECIAL, '<end_of_turn>', '<start_of_turn>', '<bos>', '[INST]', '[/INST]'];
  const withoutSystem: Conversation = { messages: CHAT.messages.slice(1) };

  test.each<[string, TinyOptions, string[]]>([
    ['Qwen-Qwen2.5-7B-Instruct.jinja', { eos: ['<|im_end|>'] }, ['|Hello.<|im_end|>|4<|im_end|>|']],
    ['HuggingFaceTB-SmolLM3-3B.jinja', { eos: ['<|im_end|>'] }, ['|Hello.<|im_end|>|4<|im_end|>|']],
    [
      'meta-llama-Llama-3.2-3B-Instruct.jinja',
      { bos: '<|begin_of_text|>', eos: ['<|eot_id|>'] },
      ['|Hello.<|eot_id|>|4<|eot_id|>'],
    ],
    ['google-gemma-2-2b-it.jinja', { bos: '<bos>', eos: ['<end_of_turn>'] }, ['|Hello.<end_of_turn>|4<end_of_turn>|']],
    ['microsoft-Phi-3.5-mini-instruct.jinja', { eos: ['<|end|>'] }, ['|Hello.<|end|>|4<|end|>|']],
    ['mistralai-Mistral-Nemo-Instruct-2407.jinja', { bos: '<s>', eos: ['</s>'] }, ['|Hello.</s>|4</s>']],
  ])('%s', (name, options, learnt) => {
    const side = sideOf('model', { chatTemplate: template(name), ...options, special });
    const found = encodeExample(withoutSystem, side);
    expect(found.rejected).toEqual([]);
    expect(
      found.encoded.map(({ ids, mask }) =>
        ids
          .map((id, at) => (mask?.[at] === 1 ? (id < 256 ? String.fromCharCode(id) : special[id - 256]) : '|'))
          .join('')
          .replaceAll(/\|+(?!im_|e|s)/g, '|'),
      ),
    ).toEqual(learnt);
  });

  test('Qwen3: thinking of every turn is learnt, each in an example of its own', () => {
    const side = sideOf('model', { chatTemplate: template('Qwen-Qwen3-0.6B.jinja'), eos: ['<|im_end|>'] });
    const example: Conversation = {
      messages: [
        { role: 'user', content: 'a?' },
        { role: 'assistant', content: 'A', reasoning_content: 'x' },
        { role: 'user', content: 'b?' },
        { role: 'assistant', content: 'B', reasoning_content: 'y' },
      ],
    };
    expect(trained(example, side)).toEqual([
      '|<think>\nx\n</think>\n\nA<|im_end|>|',
      '|<think>\ny\n</think>\n\nB<|im_end|>|',
    ]);
  });

  test('Qwen2.5: calls of tools are learnt, what they return is not', () => {
    const side = sideOf('model', { chatTemplate: template('Qwen-Qwen2.5-7B-Instruct.jinja'), eos: ['<|im_end|>'] });
    const record = {
      conversations: [
        { from: 'human', value: 'Time?' },
        { from: 'function_call', value: '{"name": "now", "arguments": {"zone": "UTC"}}' },
        { from: 'observation', value: '{"time": "12:00"}' },
        { from: 'gpt', value: 'Noon.' },
      ],
      tools: '[{"name": "now", "description": "The time", "parameters": {"type": "object"}}]',
    };
    const converted = convertRecord(record, { format: 'auto', columns: {} });
    if (converted.kind !== 'example') throw new Error(converted.reason);
    expect(trained(converted.example, side)).toEqual([
      '|<tool_call>\n{"name": "now", "arguments": {"zone": "UTC"}}\n</tool_call><|im_end|>|Noon.<|im_end|>|',
    ]);
  });

  test('Llama 3.2 writes a date: the same one every day', () => {
    const side = sideOf('model', {
      chatTemplate: template('meta-llama-Llama-3.2-3B-Instruct.jinja'),
      bos: '<|begin_of_text|>',
      eos: ['<|eot_id|>'],
    });
    expect(whole(CHAT, side)[0]).toContain('Today Date: 26 Jul 2024');
  });

  test('DeepSeek-R1: its answers begin with what they are rendered without, and that is told', () => {
    const side = sideOf('model', {
      chatTemplate: template('deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja'),
      eos: ['</s>'],
    });
    expect(encodeExample(withoutSystem, side).encoded).toEqual([]);
  });
});
