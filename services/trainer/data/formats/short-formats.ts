/**
 * The formats that are two or three fields: prompt/completion, question/answer, {user, assistant} and text. And pairs of a better and a
 * worse answer, which are refused: learning from examples would learn both.
 */
import { BadExample, type Format, filledText, has, isFields, optionalText, textOf } from './format.ts';
import { conversationOf, listOf, messageOf, roleOf, toolsOf } from './messages.ts';

export const promptCompletion: Format = {
  name: 'prompt-completion',
  recognizes: (fields) => has(fields, 'prompt', 'completion'),
  convert(fields) {
    if (typeof fields.prompt === 'string' && typeof fields.completion === 'string') {
      return { prompt: textOf(fields, 'prompt'), completion: filledText(fields, 'completion') };
    }
    const prompt = listOf(fields.prompt, 'prompt');
    const completion = isFields(fields.completion) ? [fields.completion] : fields.completion;
    const all = [...prompt, ...listOf(completion, 'completion')];
    const trained = all.flatMap((message, index) =>
      index >= prompt.length && roleOf(message) === 'assistant' ? index : [],
    );
    return conversationOf(all.map(messageOf), { tools: toolsOf(fields.tools), trained });
  },
};

export const questionAnswer: Format = {
  name: 'qa',
  recognizes: (fields) => has(fields, 'question', 'answer'),
  convert: (fields) =>
    asked(filledText(fields, 'question'), filledText(fields, 'answer'), optionalText(fields, 'system')),
};

export const userAssistant: Format = {
  name: 'chat',
  recognizes: (fields) => has(fields, 'user', 'assistant'),
  convert: (fields) =>
    asked(filledText(fields, 'user'), filledText(fields, 'assistant'), optionalText(fields, 'system')),
};

function asked(question: string, answer: string, system: string | undefined) {
  return conversationOf([
    ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ]);
}

export const text: Format = {
  name: 'text',
  recognizes: (fields) => has(fields, 'text'),
  convert: (fields) => ({ text: filledText(fields, 'text') }),
};

export const preferencePairs: Format = {
  name: 'preference',
  // Once something else is mapped to be learnt it is no pair any more.
  recognizes: (fields) => has(fields, 'chosen', 'rejected') && !has(fields, 'completion') && !has(fields, 'output'),
  convert() {
    throw new BadExample(
      'a pair of a chosen and a rejected answer, which is for preference training; map the chosen one to learn from it alone',
    );
  },
};
