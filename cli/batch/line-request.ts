/**
 * What a line of the batch command asks for: OpenAI's batch lines, and what is quicker to write: {"prompt": ...}, {"messages": ...}, a JSON
 * string, with --text the line as it is. Pure.
 */
import {
  type BatchRequest,
  type LineProblem,
  parseBatchRequest,
  parseJsonLine,
} from '@slipway/shared/contracts/openai/batch-line.ts';

export interface LineDefaults {
  /** Every line is a prompt. */
  readonly text: boolean;
  /** Instead of what the lines say. */
  readonly model: string | undefined;
  /** For lines that are no batch lines, where they do not say themselves. */
  readonly maxNewTokens: number | undefined;
  readonly temperature: number | undefined;
  readonly seed: number | undefined;
}

export type LineRequest = Omit<BatchRequest, 'custom_id'> & { readonly custom_id: string | null };

export function requestOfLine(
  text: string,
  defaults: LineDefaults,
): { readonly request: LineRequest } | { readonly problem: LineProblem; readonly customId: string | null } {
  const parsed = defaults.text ? { value: text } : parseJsonLine(text);
  if ('problem' in parsed) return { ...parsed, customId: null };
  const { value } = parsed;
  const customId = customIdOf(value);
  if (typeof value === 'string') return { request: plainRequest({ prompt: value }, null, defaults) };
  const isPlain = isRecord(value) && !('body' in value) && ('prompt' in value || 'messages' in value);
  if (isPlain) return { request: plainRequest(value, customId, defaults) };
  const batch = parseBatchRequest(value);
  if ('problem' in batch) return { ...batch, customId };
  const { url, body } = batch.request;
  return { request: { custom_id: customId, url, body: withModel(body, defaults) } };
}

export function customIdOf(value: unknown): string | null {
  return isRecord(value) && typeof value.custom_id === 'string' ? value.custom_id : null;
}

function plainRequest(
  { custom_id: _, ...fields }: Record<string, unknown>,
  customId: string | null,
  defaults: LineDefaults,
): LineRequest {
  const { maxNewTokens, temperature, seed } = defaults;
  const isChat = 'messages' in fields;
  const given = { [isChat ? 'max_completion_tokens' : 'max_new_tokens']: maxNewTokens, temperature, seed };
  const body = withModel({ ...given, ...fields }, defaults);
  return { custom_id: customId, url: isChat ? '/v1/chat/completions' : '/generate', body };
}

function withModel(body: Readonly<Record<string, unknown>>, { model }: LineDefaults): Record<string, unknown> {
  return model === undefined ? body : { ...body, model };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
