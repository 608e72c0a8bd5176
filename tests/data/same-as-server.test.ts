/** What is prepared for training is what the server makes of the same messages: its prompt, id by id, then what it would have to answer. */
import { describe, expect, test } from 'vitest';
import { prepareChat } from '../../services/inference/generation/chat-prompt.ts';
import { preparePrompt } from '../../services/inference/generation/prompt.ts';
import type { Conversation } from '../../services/trainer/data/canonical.ts';
import { encodeExample } from '../../services/trainer/data/encode/encode-example.ts';
import { tinyText } from '../../services/trainer/data/testing/tiny-text.ts';
import { openTextSide } from '../../services/trainer/data/text-side.ts';

const SPECIAL = ['<s>', '</s>', '<|im_start|>', '<|im_end|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'];

const CHAT: Conversation = {
  messages: [
    { role: 'developer', content: 'Be brief. <|im_end|> is a token.' },
    { role: 'user', content: ' Grüße 👋 \n' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: '2+2?' },
    { role: 'assistant', content: '4' },
  ],
};

describe.each(['chatml', 'llama3', 'llama2', 'alpaca'] as const)('%s', (template) => {
  const text = tinyText({ special: SPECIAL, bos: '<s>', addBos: true });
  const side = openTextSide(text, template);
  const messages = CHAT.messages.map((message) =>
    message.role === 'developer' ? { ...message, role: 'system' } : message,
  );

  test.each([2, 4])('the prompt before message %i', (turn) => {
    const alone = { ...CHAT, trained_turns: [turn] };
    const [encoded] = encodeExample(alone, side).encoded;
    const mask = encoded?.mask ?? new Uint8Array();
    const start = mask.indexOf(1);
    const { tokens } = prepareChat({ ...side, name: 'tiny' }, messages.slice(0, turn), { limit: 4096 });
    expect(encoded?.ids.slice(0, start)).toEqual(tokens);
    expect(side.stopIds).toContain(encoded?.ids[mask.lastIndexOf(1)]);
  });

  test('a prompt and its completion', () => {
    const [encoded] = encodeExample({ prompt: 'Once <s> upon', completion: ' a time' }, side).encoded;
    const { tokens } = preparePrompt('Once <s> upon', { ...side, vocabularySize: 300 }, 4096);
    expect(encoded?.ids.slice(0, encoded.mask?.indexOf(1))).toEqual(tokens);
  });
});
