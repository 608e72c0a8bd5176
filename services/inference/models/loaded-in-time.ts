/**
 * The wait of one request for a model that is being loaded, which many may wait for: it ends with the load, with the request's deadline,
 * or when its client leaves. The load goes on.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import type { HostedModel } from './model-host.ts';
import type { Waiting } from './served-models.ts';

const RETRY_AFTER = 5;

/** Rejects with the signal's reason, or AppError model_not_ready that says how far it has come or why it failed. */
export async function loadedInTime(host: HostedModel, name: string, { signal, deadline }: Waiting): Promise<void> {
  signal.throwIfAborted();
  const { promise: over, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  const late = () => {
    const state = host.state();
    const stage = state.kind === 'loading' ? state.stage : state.kind;
    reject(notReady(`${name} was not loaded before the request's deadline: ${stage}`));
  };
  const timer = setTimeout(late, Math.max(0, deadline - steadyNow()));
  signal.addEventListener('abort', leave, { once: true });
  try {
    await Promise.race([host.loaded.catch(refuse(name)), over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

/** What is wrong with a model is not the fault of who asks for it. */
function refuse(name: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AppError) || error.code === 'not_found') throw error;
    throw notReady(`${name} could not be loaded: ${error.message}`, error);
  };
}

function notReady(message: string, cause?: AppError): AppError {
  return new AppError('model_not_ready', message, { retryAfter: RETRY_AFTER, cause });
}
