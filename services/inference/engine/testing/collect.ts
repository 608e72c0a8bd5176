/**
 * Submits one sequence and collects what becomes of it; refuses anything after the terminal event.
 */
import type { Engine, EngineEvent, FinishReason, Sampling, SequenceRequest } from '../contract.ts';

export const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };

export interface Collected {
  readonly tokens: number[];
  readonly events: EngineEvent[];
  readonly cachedTokens: number;
  readonly reason: FinishReason;
  readonly error: string | undefined;
}

let count = 0;

export function makeRequest(
  request: Partial<SequenceRequest> & Pick<SequenceRequest, 'prompt' | 'maxNewTokens'>,
): SequenceRequest {
  return { id: `sequence-${++count}`, eosTokenIds: [], sampling: GREEDY, deadline: Infinity, ...request };
}

/** `onEvent` is told first. */
export function collect(
  engine: Pick<Engine, 'submit'>,
  request: SequenceRequest,
  onEvent?: (event: EngineEvent, soFar: readonly EngineEvent[]) => void,
): Promise<Collected> {
  return new Promise((resolve, reject) => {
    const events: EngineEvent[] = [];
    engine.submit(request, (event) => {
      if (events.at(-1)?.type === 'finished') reject(new Error(`${event.type} after the end of ${request.id}`));
      events.push(event);
      onEvent?.(event, events);
      if (event.type !== 'finished') return;
      // A second terminal event would come within the turn.
      setImmediate(() =>
        resolve({
          tokens: events.flatMap((other) => (other.type === 'token' ? [other.token] : [])),
          events,
          cachedTokens: events.find((other) => other.type === 'started')?.cachedTokens ?? 0,
          reason: event.reason,
          error: event.error,
        }),
      );
    });
  });
}
