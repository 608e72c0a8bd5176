/**
 * From what a request asks for to what the engine is asked for: its prompt in token ids, its limits within the model's, and a sequence for
 * each of its outputs. Knows nothing of turns, answers or clocks.
 */
import type { GenerateRequest } from '@slipway/shared/contracts/generate.ts';
import type { AnswerForm } from '@slipway/shared/contracts/response-format.ts';
import type { Constraint, SequenceRequest } from '../engine/contract.ts';
import { clampNewTokens, promptLimit, type Work } from './admission.ts';
import type { LoadedModel } from './loaded-model.ts';
import { type PreparedPrompt, preparePrompt } from './prompt.ts';
import { type SequenceSampling, samplingOf } from './sampling-settings.ts';
import { drawSeed, seedOfSequence } from './seeds.ts';
import { tokenTableOf } from './token-table.ts';

export interface PreparedRequest {
  /** Not what may have megabytes: many requests wait. */
  readonly settings: Omit<GenerateRequest, 'prompt' | 'response_format'>;
  readonly prompt: PreparedPrompt;
  readonly work: Work;
  readonly eosTokenIds: readonly number[];
  readonly sampling: SequenceSampling;
  readonly seed: number;
}

/** AppError invalid_field when the request does not fit the model. */
export function prepareRequest(request: GenerateRequest, model: LoadedModel, maxPromptTokens: number): PreparedRequest {
  const { prompt: given, response_format: _taken, ...settings } = request;
  const { contextLength, vocabularySize } = model.engine.info;
  const limit = promptLimit(settings.max_new_tokens, { maxPromptTokens, contextLength });
  const prompt = preparePrompt(given, { ...model, vocabularySize }, limit);
  const promptTokens = prompt.tokens.length;
  const maxNewTokens = clampNewTokens(settings.max_new_tokens, promptTokens, contextLength);
  return {
    settings,
    prompt,
    work: { promptTokens, maxNewTokens, sequences: settings.num_return_sequences },
    eosTokenIds: settings.stop_on_eos && !settings.ignore_eos ? model.eosTokenIds : [],
    sampling: samplingOf(settings, { ...model, vocabularySize }),
    seed: settings.seed ?? drawSeed(),
  };
}

/** Undefined when any text will do. AppError invalid_field when there can be no such text. */
export async function constraintOf(
  format: AnswerForm | undefined,
  { tokenizer, engine }: LoadedModel,
): Promise<Constraint | undefined> {
  if (format === undefined || format.type === 'text') return undefined;
  const { grammarOfFormat } = await import('./grammar/grammar-of-format.ts');
  const grammar = grammarOfFormat(format);
  return { grammar, tokens: await tokenTableOf(tokenizer, engine.info.vocabularySize) };
}

/** `id`: of the request; each of its sequences has one of its own. */
export function sequenceRequests(
  { settings, prompt, work, eosTokenIds, sampling, seed }: PreparedRequest,
  { id, ...rest }: Pick<SequenceRequest, 'id' | 'deadline' | 'constraint' | 'goesOn'>,
): SequenceRequest[] {
  return Array.from({ length: work.sequences }, (_, index) => ({
    ...rest,
    id: sequenceId(id, index),
    prompt: prompt.tokens,
    maxNewTokens: work.maxNewTokens,
    minNewTokens: settings.min_new_tokens,
    eosTokenIds,
    stopTokenIds: settings.stop_token_ids,
    sampling: { ...sampling, seed: seedOfSequence(seed, index) },
    ...(settings.logprobs === undefined ? {} : { logprobs: settings.logprobs }),
    // Every sequence has the same prompt.
    ...(settings.prompt_logprobs === undefined || index > 0 ? {} : { promptLogprobs: settings.prompt_logprobs }),
  }));
}

export function sequenceId(requestId: string, index: number): string {
  return `${requestId}-${index}`;
}
