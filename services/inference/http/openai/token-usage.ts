/**
 * The count of tokens that OpenAI's answers end with. Pure.
 */
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import type { TokenUsage } from '@slipway/shared/contracts/openai/answer-parts.ts';

/** Of one request, which may have had several prompts. */
export function usageOf(answers: readonly GenerateAnswer[]): TokenUsage {
  const sum = (count: (answer: GenerateAnswer) => number) =>
    answers.reduce((total, answer) => total + count(answer), 0);
  const prompt_tokens = sum(({ usage }) => usage.prompt_tokens);
  const completion_tokens = sum(({ usage }) => usage.completion_tokens);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: sum(({ timings }) => timings.cached_prompt_tokens) },
  };
}
