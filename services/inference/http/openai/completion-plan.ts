/**
 * What a request to `/v1/completions` means for the model it goes to: one request of ours per prompt. Pure. Knows nothing of how they
 * run and how the answer is told.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { GenerateLimits, GenerateRequest } from '@slipway/shared/contracts/generate.ts';
import type { CompletionRequest, Prompt } from '@slipway/shared/contracts/openai/completion.ts';
import { outputFormatOf } from '@slipway/shared/contracts/openai/output-format.ts';
import { promptLimit } from '../../generation/admission.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import { preparePrompt } from '../../generation/prompt.ts';
import { newTokensOf, settingsOf } from './generate-request.ts';

export interface ServiceLimits extends GenerateLimits {
  readonly maxPromptTokens: number;
}

export interface PlannedPrompt {
  readonly request: GenerateRequest & { readonly prompt: readonly number[] };
  /** What the choices' texts begin with. */
  readonly echo: string;
}

export interface CompletionPlan {
  readonly prompts: readonly PlannedPrompt[];
  /** Of each prompt. */
  readonly choices: number;
  /** How many alternatives a choice's lists of log probabilities have; undefined: no lists. */
  readonly logprobs: number | undefined;
  readonly promptLogprobs: number | undefined;
  readonly isEchoed: boolean;
}

/** AppError invalid_field, or prompt_too_long. */
export function planCompletion(
  fields: CompletionRequest,
  model: LoadedModel,
  limits: ServiceLimits,
  warn: (warning: string) => void,
): CompletionPlan {
  const { echo, n, best_of, logprobs, prompt_logprobs, stream } = fields;
  const candidates = best_of ?? n;
  if (candidates < n) throw wrong('best_of', `must be at least n (${n}), but is ${candidates}`);
  if (candidates > n && stream)
    throw wrong('best_of', 'must not be above n in a stream: which are best is known at the end');
  if (fields.max_tokens === 0 && !echo) throw wrong('max_tokens', 'must be at least 1 (0 only with "echo": true)');
  const newTokens = newTokensOf('max_tokens', fields.max_tokens, fields.min_tokens, limits, warn);
  const format = outputFormatOf(fields);
  const promptAlternatives =
    echo && logprobs !== undefined ? Math.max(logprobs, prompt_logprobs ?? 0) : prompt_logprobs;
  const needsPrompt = promptAlternatives !== undefined || fields.max_tokens === 0;
  const settings: GenerateRequest = {
    ...settingsOf(fields, limits),
    ...newTokens,
    num_return_sequences: candidates,
    ...(format === undefined ? {} : { response_format: format }),
    // Which are best is judged by them.
    ...(logprobs === undefined && candidates === n ? {} : { logprobs: logprobs ?? 0 }),
    ...(needsPrompt ? { prompt_logprobs: promptAlternatives ?? 0 } : {}),
  };
  const prompts = fields.prompt.map((prompt): PlannedPrompt => {
    const tokens = promptTokens(prompt, fields, model, limits);
    const room = model.engine.info.contextLength - tokens.length;
    return {
      request: { ...settings, prompt: tokens, max_new_tokens: Math.min(settings.max_new_tokens, room) },
      echo: echo ? textOf(prompt, model) : '',
    };
  });
  if (prompts.length === 0) throw wrong('prompt', 'must have at least one prompt');
  return { prompts, choices: n, logprobs, promptLogprobs: prompt_logprobs, isEchoed: echo };
}

function promptTokens(
  prompt: Prompt,
  { max_tokens, truncation, add_special_tokens }: CompletionRequest,
  model: LoadedModel,
  { maxPromptTokens, maxNewTokens }: ServiceLimits,
): readonly number[] {
  const { contextLength, vocabularySize } = model.engine.info;
  const isCut = truncation === 'auto';
  const wanted = Math.min(max_tokens, maxNewTokens);
  const limit = promptLimit(isCut ? wanted : 1, { maxPromptTokens, contextLength });
  const addBos = model.addBos && add_special_tokens;
  const { tokens, truncated } = preparePrompt(prompt, { ...model, addBos, vocabularySize }, limit);
  if (truncated && !isCut) {
    throw new AppError(
      'prompt_too_long',
      `prompt has more than the ${limit} tokens that fit before an answer; shorten it, or let its beginning be left out with "truncation": "auto"`,
      { field: 'prompt' },
    );
  }
  return tokens;
}

function textOf(prompt: Prompt, { tokenizer }: LoadedModel): string {
  return typeof prompt === 'string' ? prompt : tokenizer.decode(prompt);
}

function wrong(field: string, what: string): AppError {
  return new AppError('invalid_field', `${field} ${what}`, { field });
}
