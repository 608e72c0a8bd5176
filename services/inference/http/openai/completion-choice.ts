/**
 * One choice of a completion while it comes: its echoed prompt, its text and its lists of log probabilities. Whole answers are one piece.
 * Pure.
 */
import type { GenerateAnswer, GenerateOutput, OutputLogprobs } from '@slipway/shared/contracts/generate.ts';
import type { CompletionChoice, CompletionLogprobs } from '@slipway/shared/contracts/openai/completion.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import type { CompletionPlan, PlannedPrompt } from './completion-plan.ts';
import { finishReasonOf } from './finish-reason.ts';
import { CompletionLogprobWriter, promptLogprobs } from './logprobs.ts';

export class CompletionChoiceWriter {
  readonly #index: number;
  readonly #plan: CompletionPlan;
  readonly #prompt: PlannedPrompt;
  readonly #model: LoadedModel;
  readonly #logprobs: CompletionLogprobWriter;

  constructor(index: number, plan: CompletionPlan, prompt: PlannedPrompt, model: LoadedModel) {
    this.#index = index;
    this.#plan = plan;
    this.#prompt = prompt;
    this.#model = model;
    const [first, ...others] = prompt.request.prompt;
    const follows = others.length > 0 || first !== model.bosTokenId;
    this.#logprobs = new CompletionLogprobWriter(model.tokenizer, { continuation: !plan.isEchoed && follows });
  }

  /** What there is to say of the prompt; undefined when that is nothing. */
  prompt(entries: readonly (OutputLogprobs | null)[]): CompletionChoice | undefined {
    const { logprobs, promptLogprobs: wanted, isEchoed } = this.#plan;
    if (!isEchoed && wanted === undefined) return undefined;
    const lists = isEchoed && logprobs !== undefined;
    return {
      index: this.#index,
      text: this.#prompt.echo,
      logprobs: lists ? this.#logprobs.write(this.#prompt.request.prompt, atMost(entries, logprobs)) : null,
      finish_reason: null,
      ...(wanted === undefined
        ? {}
        : { prompt_logprobs: promptLogprobs(this.#model.tokenizer, atMost(entries, wanted)) }),
    };
  }

  added({ text, token_ids, logprobs, finish_reason }: GenerateOutput): CompletionChoice {
    const lists = this.#plan.logprobs !== undefined && logprobs !== undefined;
    return {
      index: this.#index,
      text,
      logprobs: lists ? this.#logprobs.write(token_ids, logprobs) : null,
      finish_reason: finishReasonOf(finish_reason),
    };
  }

  whole(answer: GenerateAnswer, output: GenerateOutput): CompletionChoice {
    const prompt = this.prompt(answer.prompt_logprobs ?? []);
    const added = this.added(output);
    if (prompt === undefined) return added;
    return { ...prompt, ...added, text: prompt.text + added.text, logprobs: joined(prompt.logprobs, added.logprobs) };
  }
}

/** The best first: those whose tokens are the likeliest on average. */
export function bestOutputs(outputs: readonly GenerateOutput[], count: number): readonly GenerateOutput[] {
  if (outputs.length <= count) return outputs;
  const mean = ({ logprobs = [] }: GenerateOutput) =>
    logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / Math.max(1, logprobs.length);
  return outputs.toSorted((a, b) => mean(b) - mean(a)).slice(0, count);
}

function atMost(entries: readonly (OutputLogprobs | null)[], alternatives: number): (OutputLogprobs | null)[] {
  return entries.map((entry) => (entry === null ? null : { ...entry, top: entry.top.slice(0, alternatives) }));
}

function joined(first: CompletionLogprobs | null, second: CompletionLogprobs | null): CompletionLogprobs | null {
  if (first === null || second === null) return first ?? second;
  return {
    tokens: [...first.tokens, ...second.tokens],
    token_logprobs: [...first.token_logprobs, ...second.token_logprobs],
    top_logprobs: [...first.top_logprobs, ...second.top_logprobs],
    text_offset: [...first.text_offset, ...second.text_offset],
  };
}
