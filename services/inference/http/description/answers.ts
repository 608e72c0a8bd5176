/**
 * What is answered where nothing but the description of the API reads it as a schema. Those with a type are held to it by the compiler.
 */
import { FinishReason, identity, times } from '@slipway/shared/contracts/answer-schemas.ts';
import type { ChatAnswer, ChatDelta, ChatSession, ChatSessionContent } from '@slipway/shared/contracts/chat.ts';
import { Lineage, Manifest } from '@slipway/shared/contracts/manifest.ts';
import { z } from 'zod';

const text = z.string();
const integer = z.int();
const number = z.number();
const byName = z.record(text, number);

const turn = { id: text, session_id: text.nullable(), model: text, response: text };
export const TurnDelta = z.object(turn) satisfies z.ZodType<ChatDelta>;

export const Turn = z.object({
  ...turn,
  tokens_used: integer,
  processing_time: number,
  finish_reason: FinishReason,
  dropped_messages: integer,
  usage: z.object({ prompt_tokens: integer, completion_tokens: integer, cached_tokens: integer }),
  timings: z.object(times),
  seed: integer,
  ...identity,
}) satisfies z.ZodType<ChatAnswer>;

const session = { session_id: text, created_at: text, updated_at: text, expires_in_seconds: number };
const Session = z.object(session) satisfies z.ZodType<ChatSession>;

export const Sessions = z.object({ sessions: z.array(Session) });
export const SessionRemoved = z.object({ session_id: text, deleted: z.literal(true) });
export const SessionContent = z.object({
  ...session,
  messages: z.array(z.object({ role: z.enum(['system', 'user', 'assistant']), content: text })),
  forgotten_messages: integer,
}) satisfies z.ZodType<ChatSessionContent>;

export const FrontPage = z.object({
  name: text,
  description: text,
  model: text.nullable(),
  endpoints: z.array(z.object({ method: text, url: text, purpose: text })),
});
export const Live = z.object({ status: z.literal('ok') });
export const Health = z.object({
  status: z.enum(['ok', 'loading', 'failed', 'ready', 'draining']),
  model: text.nullable(),
  running: integer,
  waiting: integer,
  uptime_seconds: integer,
});
export const Ready = z.object({ ready: z.literal(true), model: text.nullable(), detail: text.optional() });
export const NotReady = z.object({ ready: z.literal(false), reason: text, progress: number.optional() });
export const Version = z.object({ version: text });

const { architecture, precision, quantization, bits_per_weight, created_at, version, source, parity, drift_allowed } =
  Manifest.partial().shape;
export const ModelInfo = z.object({
  name: text,
  ...{ architecture, precision, quantization, bits_per_weight, created_at, version, source, parity, drift_allowed },
  sha256: z.record(text, text.nullable()).optional(),
  training: Lineage.nullable().optional(),
  aliases: z.array(text),
  following: z
    .object({ reference: text, every_seconds: number, wanted: text.nullable(), detail: text.nullable() })
    .nullable(),
  engine: z.looseObject({
    layout: text,
    device: text,
    slots: integer,
    contextLength: integer,
    vocabularySize: integer,
  }),
  limits: byName,
  system_fingerprint: text,
});

export const MetricsSummary = z.object({
  uptime_seconds: integer,
  ready: z.boolean(),
  recent_window_seconds: integer,
  models: z.array(
    z.looseObject({
      name: text,
      version: text.nullable(),
      running: number.nullable(),
      waiting: number.nullable(),
      requests: z.record(text, number.nullable()),
      tokens: z.record(text, number.nullable()),
    }),
  ),
  loads: byName,
  load_failures: byName,
  swaps: byName,
  unloads: byName,
  http: z.object({ requests: byName, errors: byName }),
  process: z.record(text, number.nullable()),
});

export const Description = z.looseObject({ openapi: text, paths: z.record(text, z.unknown()) });
