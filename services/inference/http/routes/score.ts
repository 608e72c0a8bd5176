/**
 * `POST /score`: from a request's bytes to one JSON answer. Knows its fields and limits; what is computed lies in generation/score.
 */
import { setImmediate as otherWork } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { generateRequestParser } from '@slipway/shared/contracts/generate.ts';
import {
  parseScoreRequest,
  type ScoreAnswer,
  type ScoreRequest,
  type TextScore,
} from '@slipway/shared/contracts/score.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import { promptLimit } from '../../generation/admission.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import {
  type EncodedText,
  encodeText,
  type ReadWindow,
  type ScoredTokens,
  scoreText,
  type WindowSize,
} from '../../generation/score/score-text.ts';
import { characterScores, sumsOf, tokenScores, totalOf } from '../../generation/score/scored-token.ts';
import type { Route, ServiceParts } from '../service-parts.ts';
import { type Visit, visited } from '../visit.ts';

/** What one answer may list, alternatives included. */
const MOST_ENTRIES = 200_000;

/** Making it takes milliseconds. */
const parseGenerateRequest = generateRequestParser({ maxNewTokens: 1, defaultMaxNewTokens: 1 });

export function scoreRoute(parts: ServiceParts): Route {
  const { config } = parts;
  return visited(parts, async (visit, context) => {
    const deadline = performance.now() + config.timeoutSeconds * 1000;
    const request = parseScoreRequest(await visit.body());
    const model = await visit.model(request.model);
    const size = windowSize(request, model, config.maxPromptTokens);
    const id = newId('score');
    const read = windowReader(visit, model, id, request.top_k, () => {
      if (performance.now() < deadline) return;
      throw new AppError('timeout', `not scored within ${config.timeoutSeconds} s; send shorter texts, or fewer`);
    });
    const encoded: EncodedText[] = [];
    for (const [index, text] of request.texts.entries()) {
      encoded.push(encodeText(text, request.texts.length === 1 ? 'text' : `texts[${index}]`, model));
      // Each holds up everything else.
      await otherWork();
    }
    requireShortAnswer(encoded, request);
    const results: TextScore[] = [];
    const counts = { windows: 0, tokens: 0 };
    for (const [index, text] of encoded.entries()) {
      const scored = await scoreText(text, model, size, read);
      counts.windows += scored.windows;
      counts.tokens += scored.computedTokens;
      results.push(resultOf(index, scored, request));
    }
    visit.log({ model: model.name, prompt_tokens: counts.tokens, completion_tokens: 0, texts: results.length });
    return context.json({
      id,
      model: model.name,
      results,
      total: totalOf(results),
      window: { ...size, count: counts.windows },
      usage: { prompt_tokens: counts.tokens, completion_tokens: 0 },
      request_id: visit.requestId,
      system_fingerprint: model.fingerprint,
    } satisfies ScoreAnswer);
  });
}

function requireShortAnswer(texts: readonly EncodedText[], { aggregate, top_k }: ScoreRequest): void {
  const entries = texts.reduce((sum, { ids }) => sum + ids.length * (1 + top_k), 0);
  if (aggregate || entries <= MOST_ENTRIES) return;
  throw new AppError(
    'invalid_field',
    `the answer would have ${entries} entries, and may have ${MOST_ENTRIES}; send shorter texts, or a smaller top_k`,
  );
}

function windowSize({ stride }: ScoreRequest, { engine }: LoadedModel, maxPromptTokens: number): WindowSize {
  const length = promptLimit(0, { maxPromptTokens, contextLength: engine.info.contextLength });
  const longest = Math.max(1, length - 1);
  if (stride !== undefined && stride > longest) {
    throw new AppError(
      'invalid_field',
      `stride must be below the window, which has ${length} tokens here, but is ${stride}`,
    );
  }
  return { length, stride: stride ?? Math.max(1, Math.floor(length / 2)) };
}

/** `check` throws when there is no time for another window. */
function windowReader(visit: Visit, model: LoadedModel, id: string, topK: number, check: () => void): ReadWindow {
  let windows = 0;
  return async (prompt) => {
    check();
    const request = parseGenerateRequest({ prompt, max_new_tokens: 0, prompt_logprobs: topK, temperature: 0 });
    const answer = await visit.run(visit.generation(model, { id: `${id}-${windows++}`, request }));
    return answer.prompt_logprobs ?? [];
  };
}

function resultOf(index: number, { tokens, offsetOf }: ScoredTokens, request: ScoreRequest): TextScore {
  const { givenBytes, aggregate, per, top_k } = request;
  // A token that begins in what is given and ends behind it is part of what is scored.
  const shown = givenBytes === 0 ? tokens : tokens.filter(({ end }) => (offsetOf(end) ?? end) > givenBytes);
  return {
    index,
    ...sumsOf(shown),
    ...(aggregate || per === 'character' ? {} : { tokens: tokenScores(shown, offsetOf, top_k > 0) }),
    ...(aggregate || per === 'token' ? {} : { characters: characterScores(shown, offsetOf) }),
  };
}
