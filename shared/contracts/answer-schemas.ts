/**
 * The answers of `/generate` and `/score` as schemas, held by the compiler to the types that those who make them have: for descriptions of
 * APIs, and for who asks a service.
 */
import { z } from 'zod';
import type { GenerateAnswer, GenerateDelta, GenerateOutput, OutputLogprobs } from './generate.ts';
import type { ScoreAnswer, ScoreSums } from './score.ts';

const text = z.string();
const integer = z.int();
const number = z.number();

const candidate = { token_id: integer, token: text, logprob: number };
const Top = z.array(z.object(candidate));
const Logprobs = z.object({ ...candidate, top: Top }) satisfies z.ZodType<OutputLogprobs>;
export const FinishReason = z.enum(['eos', 'stop', 'length', 'timeout', 'cancelled']).nullable();

const Output = z.object({
  index: integer,
  text,
  token_ids: z.array(integer),
  finish_reason: FinishReason,
  logprobs: z.array(Logprobs).exactOptional(),
}) satisfies z.ZodType<GenerateOutput>;

const delta = { id: text, model: text, text, outputs: z.array(Output) };
export const GeneratedDelta = z.object(delta) satisfies z.ZodType<GenerateDelta>;

export const times = {
  queue_ms: number,
  time_to_first_token_ms: number.nullable(),
  total_ms: number,
  tokens_per_second: number,
};
export const identity = { request_id: text, system_fingerprint: text };

export const Generated = z.object({
  ...delta,
  prompt_logprobs: z.array(Logprobs.nullable()).exactOptional(),
  usage: z.object({ prompt_tokens: integer, completion_tokens: integer, prompt_truncated: z.boolean() }),
  timings: z.object({ ...times, cached_prompt_tokens: integer }),
  seed: integer,
  ...identity,
}) satisfies z.ZodType<GenerateAnswer>;

const span = { start: integer.nullable(), end: integer.nullable(), nats: number.nullable(), bits: number.nullable() };
const sums = {
  loss: number.nullable(),
  perplexity: number.nullable(),
  nats: number,
  bits: number,
  bits_per_character: number.nullable(),
  bits_per_byte: number.nullable(),
  tokens_scored: integer,
  characters_scored: integer,
  bytes_scored: integer,
};
const Sums = z.object(sums) satisfies z.ZodType<ScoreSums>;

export const Score = z.object({
  id: text,
  model: text,
  results: z.array(
    z.object({
      ...sums,
      index: integer,
      tokens: z.array(z.object({ ...span, token_id: integer, token: text, top: Top.exactOptional() })).exactOptional(),
      characters: z.array(z.object({ ...span, character: text })).exactOptional(),
    }),
  ),
  total: Sums,
  window: z.object({ length: integer, stride: integer, count: integer }),
  usage: z.object({ prompt_tokens: integer, completion_tokens: z.literal(0) }),
  ...identity,
}) satisfies z.ZodType<ScoreAnswer>;
