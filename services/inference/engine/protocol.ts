/**
 * The words between the service and an engine's child process, and their parsing. Plain data over Node's IPC channel, a channel of
 * its own that no print of a library can corrupt. Parsed by hand: loading zod would delay every engine's start by a tenth of a second.
 */
import { AppError, ERROR_STATUS, type ErrorCode } from '@slipway/shared/contracts/errors.ts';
import type { LayoutSpec } from '../runtime/open-layout.ts';
import type { Constraint, EngineEvent, EngineInfo, EngineStats, SequenceRequest, TokenTable } from './contract.ts';
import type { PlanLimits } from './plan.ts';

/** Both sides are started from one tree; a difference means that it was replaced under a running service. */
export const PROTOCOL_VERSION = 5;

const STATS = [
  'running',
  'waiting',
  'cacheUsage',
  'steps',
  'drafts',
  'guessed',
  'accepted',
] satisfies (keyof EngineStats)[];

function isStats(value: unknown): value is EngineStats {
  if (!isRecord(value) || !hasNumbers(value, ...STATS) || !hasNumbers(value.stepTokens, 'sum')) return false;
  const { stepTokens, acceptedAt } = value;
  return isRecord(stepTokens) && areNumbers(stepTokens.counts) && areNumbers(acceptedAt);
}

function areNumbers(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'number');
}

export interface OpenMessage {
  readonly type: 'open';
  readonly protocol: number;
  readonly spec: LayoutSpec;
  readonly limits: Partial<PlanLimits>;
  readonly speculate: boolean;
}

/** The table of tokens is sent apart, once. */
export type SentRequest = Omit<SequenceRequest, 'constraint'> & {
  readonly constraint?: Omit<Constraint, 'tokens'>;
};

export type ParentMessage =
  | OpenMessage
  | { readonly type: 'submit'; readonly request: SentRequest }
  /** What constraints' `tokens` are; before the first request that has any. */
  | { readonly type: 'tokens'; readonly table: TokenTable }
  | { readonly type: 'cancel'; readonly id: string }
  | { readonly type: 'close' };

export type ChildMessage =
  /** The first message, once the layout is open. */
  | { readonly type: 'hello'; readonly protocol: number; readonly info: EngineInfo }
  /** Instead of the hello; `code` when an AppError said why. */
  | { readonly type: 'refused'; readonly code?: ErrorCode; readonly message: string }
  /** Everything that one step brought, for all sequences. */
  | {
      readonly type: 'events';
      readonly events: readonly (readonly [string, EngineEvent])[];
      readonly stats: EngineStats;
    };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function hasNumbers(value: unknown, ...keys: readonly string[]): boolean {
  return isRecord(value) && keys.every((key) => typeof value[key] === 'number');
}

function isEvent(value: unknown): value is EngineEvent {
  if (!isRecord(value)) return false;
  if (value.type === 'token') return typeof value.token === 'number';
  if (value.type === 'prompt') return Array.isArray(value.logprobs);
  if (value.type === 'started') return typeof value.cachedTokens === 'number';
  return value.type === 'finished' && typeof value.reason === 'string';
}

function isInfo(value: unknown): value is EngineInfo {
  return (
    hasNumbers(value, 'vocabularySize', 'contextLength', 'slots', 'threads') &&
    isRecord(value) &&
    [value.layout, value.device, value.runtime].every((text) => typeof text === 'string')
  );
}

/** Undefined when it is none of the child's messages. */
export function parseChildMessage(value: unknown): ChildMessage | undefined {
  if (!isRecord(value)) return undefined;
  const { type } = value;
  if (type === 'hello' && typeof value.protocol === 'number') {
    // Another version may say anything else; the number alone tells.
    if (value.protocol !== PROTOCOL_VERSION || isInfo(value.info)) return value as unknown as ChildMessage;
  }
  if (type === 'refused' && typeof value.message === 'string') {
    const code = Object.keys(ERROR_STATUS).find((known): known is ErrorCode => known === value.code);
    return code ? { type, code, message: value.message } : { type, message: value.message };
  }
  if (type === 'events' && Array.isArray(value.events) && isStats(value.stats)) {
    const isPair = (pair: unknown) => Array.isArray(pair) && typeof pair[0] === 'string' && isEvent(pair[1]);
    if (value.events.every(isPair)) return value as unknown as ChildMessage;
  }
  return undefined;
}

/** Undefined when it is none of the parent's messages. What `open` and `submit` carry was typed by the service itself. */
export function parseParentMessage(value: unknown): ParentMessage | undefined {
  if (!isRecord(value)) return undefined;
  const known =
    (value.type === 'open' &&
      typeof value.protocol === 'number' &&
      isRecord(value.spec) &&
      isRecord(value.limits) &&
      typeof value.speculate === 'boolean') ||
    (value.type === 'submit' && isRecord(value.request) && Array.isArray(value.request.prompt)) ||
    (value.type === 'tokens' && isRecord(value.table)) ||
    (value.type === 'cancel' && typeof value.id === 'string') ||
    value.type === 'close';
  return known ? (value as unknown as ParentMessage) : undefined;
}

export function refusalOf(error: unknown): ChildMessage {
  if (error instanceof AppError) return { type: 'refused', code: error.code, message: error.message };
  return { type: 'refused', message: error instanceof Error ? error.message : String(error) };
}
