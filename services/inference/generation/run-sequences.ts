/**
 * Submits sequences to the engine and waits until each has its terminal event. Turns an abort into cancellation.
 */
import type { Engine, EngineEvent, SequenceRequest } from '../engine/contract.ts';

/**
 * Settles only when the engine has let go of every sequence. Rejects with the first thing `onEvent` throws; all sequences are then
 * cancelled first.
 */
export function runSequences(
  engine: Engine,
  requests: readonly SequenceRequest[],
  signal: AbortSignal,
  onEvent: (index: number, event: EngineEvent) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let open = requests.length;
    let failure: { readonly error: unknown } | undefined;
    const cancelAll = () => {
      for (const { id } of requests) engine.cancel(id);
    };
    const settle = () => {
      signal.removeEventListener('abort', cancelAll);
      if (failure === undefined) resolve();
      else reject(failure.error);
    };
    signal.addEventListener('abort', cancelAll, { once: true });
    for (const [index, request] of requests.entries()) {
      engine.submit(request, (event) => {
        try {
          if (failure === undefined) onEvent(index, event);
        } catch (error) {
          failure = { error };
          cancelAll();
        }
        if (event.type === 'finished' && --open === 0) settle();
      });
    }
    // Also those submitted after one had already failed.
    if (signal.aborted || failure !== undefined) cancelAll();
  });
}
