/**
 * A service that a command starts for itself, on the loopback interface: the same path as every other request. Owns its end, also when
 * somebody interrupts.
 */
import { startInferenceService } from '@slipway/inference/serve';
import { loadServiceConfig, type ServiceFlags } from '@slipway/shared/contracts/config.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';

/** `use` is given its URL once the model is loaded; the service ends with it. Rejects with the signal's reason. */
export async function withOwnService<T>(
  flags: ServiceFlags,
  signal: AbortSignal,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const config = await loadServiceConfig({
    flags: { ...flags, port: 0, host: '127.0.0.1', timeoutSeconds: 3600, pollSeconds: 0 },
    environment: { ...process.env, API_KEY: undefined, API_KEYS_FILE: undefined },
  });
  const log = createLogger({ service: 'cli', level: 'silent', destination: silence });
  const service = await startInferenceService(config, log);
  let loaded = false;
  try {
    await Promise.race([service.loaded, rejectionOf(signal)]);
    loaded = true;
    return await use(service.url);
  } finally {
    const closed = service.close();
    // Closing waits for a load that has begun; whoever interrupts does not.
    if (loaded || !signal.aborted) await closed;
    else closed.catch(() => {});
  }
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
