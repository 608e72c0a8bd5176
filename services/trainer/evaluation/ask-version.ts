/**
 * One version, asked over HTTP like any client asks it: answers to samples, and how likely it finds the wanted ones. What it refuses is
 * part of the outcome. Knows no metric.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Outcome } from '@slipway/shared/contracts/evaluation.ts';
import { askUntilAnswered } from '@slipway/shared/lines/ask-until-answered.ts';
import { messageIn, type ServiceAnswer, type ServiceClient } from '@slipway/shared/lines/service-client.ts';
import { z } from 'zod';
import type { Question, Sample } from './read-samples.ts';

export interface AskOptions {
  /** As the service knows it: NAME@v001. */
  readonly model: string;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

export type Answered = NonNullable<Outcome['answer']> & { readonly system_fingerprint: string };
export type Likelihood = NonNullable<Outcome['likelihood']>;

/** A request that this version does not take: too long a prompt, a conversation without a template. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

const GenerateAnswer = z.object({
  outputs: z.array(z.object({ text: z.string(), finish_reason: z.string() })).min(1),
  usage: z.object({ completion_tokens: z.number() }),
  system_fingerprint: z.string(),
});
const ChatAnswer = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string().nullable() }), finish_reason: z.string() }))
    .min(1),
  usage: z.object({ completion_tokens: z.number() }),
  system_fingerprint: z.string(),
});
const Tokens = z.object({ tokens: z.array(z.number()) });
const Detokenized = z.object({ prompt: z.string() });
const Sums = z.object({
  total: z.object({ nats: z.number(), tokens_scored: z.number(), bytes_scored: z.number() }),
});
const EachToken = z.object({
  results: z.array(z.object({ tokens: z.array(z.object({ nats: z.number().nullable() })) })).length(1),
});

/** Of a service that is full, starting or away: about ten minutes. */
const MOST_ATTEMPTS = 125;

/** Refused; AppError not_found when the service has no such version, overloaded. */
export async function answerSample(
  client: ServiceClient,
  question: Exclude<Question, { kind: 'text' }>,
  options: AskOptions,
): Promise<Answered> {
  const { model, temperature, seed, maxNewTokens } = options;
  if (question.kind === 'completion') return continuePrompt(client, question.prompt, options);
  const body = { model, temperature, seed, ...conversation(question), max_completion_tokens: maxNewTokens };
  const { choices, usage, system_fingerprint, milliseconds } = await ask(
    client,
    '/v1/chat/completions',
    body,
    ChatAnswer,
    options,
  );
  const { message, finish_reason = '' } = choices[0] ?? {};
  return {
    text: message?.content ?? '',
    finish_reason,
    tokens: usage.completion_tokens,
    milliseconds,
    system_fingerprint,
  };
}

/** `prompt`: a text, or token ids as they are. Refused, AppError as above. */
export async function continuePrompt(
  client: ServiceClient,
  prompt: string | readonly number[],
  options: AskOptions,
): Promise<Answered> {
  const { model, temperature, seed, maxNewTokens } = options;
  const body = { model, temperature, seed, prompt, max_new_tokens: maxNewTokens };
  const answer = await ask(client, '/generate', body, GenerateAnswer, options);
  const { text = '', finish_reason = '' } = answer.outputs[0] ?? {};
  const { usage, milliseconds, system_fingerprint } = answer;
  return { text, finish_reason, tokens: usage.completion_tokens, milliseconds, system_fingerprint };
}

/** What token ids say. AppError as above. */
export async function textOfTokens(
  client: ServiceClient,
  tokens: readonly number[],
  options: AskOptions,
): Promise<string> {
  const { prompt } = await ask(client, '/detokenize', { model: options.model, tokens }, Detokenized, options);
  return prompt;
}

/** Of the tokens of the reference, whatever ends it not counted. Refused, AppError as above. */
export async function scoreSample(
  client: ServiceClient,
  { question, reference }: Sample,
  options: AskOptions,
): Promise<Likelihood> {
  const { model } = options;
  if (question.kind !== 'conversation') {
    const prompt = question.kind === 'completion' ? question.prompt : question.before;
    const body = { model, prompt, completion: reference, aggregate: true };
    const { total } = await ask(client, '/score', body, Sums, options);
    return likelihood(total.nats, total.tokens_scored, total.bytes_scored);
  }
  const asked = conversation(question);
  const whole = [...asked.messages, { role: 'assistant', content: reference }];
  const tokenize = (body: object) => ask(client, '/tokenize', { model, ...body }, Tokens, options);
  const prompt = await tokenize({ ...asked, add_generation_prompt: true });
  const all = await tokenize({ ...asked, messages: whole, continue_final_message: true });
  const given = commonLength(prompt.tokens, all.tokens);
  const { results } = await ask(client, '/score', { model, text: all.tokens }, EachToken, options);
  const scored = (results[0]?.tokens ?? []).slice(given).flatMap(({ nats }) => (nats === null ? [] : [nats]));
  const sum = scored.reduce((total, nats) => total + nats, 0);
  return likelihood(sum, scored.length, Buffer.byteLength(reference));
}

function likelihood(nats: number, tokens: number, bytes: number): Likelihood {
  if (tokens === 0) throw new Refused('no token of the reference can be scored: nothing precedes it');
  return { nats, tokens, bytes, perplexity: Math.exp(nats / tokens) };
}

function conversation({ messages, tools }: Extract<Question, { kind: 'conversation' }>) {
  return { messages: [...messages], ...(tools === undefined ? {} : { tools }) };
}

/** A token may reach over where the answer begins: then it belongs to the answer. */
function commonLength(prompt: readonly number[], all: readonly number[]): number {
  const different = prompt.findIndex((id, index) => id !== all[index]);
  return different === -1 ? prompt.length : different;
}

/** Refused, AppError as above. */
export async function ask<T extends object>(
  client: ServiceClient,
  path: string,
  body: object,
  shape: z.ZodType<T>,
  { signal, model }: Pick<AskOptions, 'signal' | 'model'>,
): Promise<T & { milliseconds: number }> {
  let begun = 0;
  const send = (): Promise<ServiceAnswer> => {
    begun = performance.now();
    return client.ask(path, body, signal);
  };
  const { status, body: answer } = await askUntilAnswered(send, MOST_ATTEMPTS, signal);
  const milliseconds = performance.now() - begun;
  if (status === 200) return { ...shape.parse(answer), milliseconds };
  if (status === 404) throw new AppError('not_found', messageIn(answer));
  if (status === 429 || status === 503) throw new AppError('overloaded', `${model}: ${messageIn(answer)}`);
  throw new Refused(messageIn(answer));
}
