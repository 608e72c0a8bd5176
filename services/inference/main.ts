/**
 * The inference service as a process of its own: `node services/inference/main.ts`. Settings come from the environment and config.yml.
 */
import { enableCompileCache } from 'node:module';

enableCompileCache();

// After the cache is on, which an import above would not be.
const { loadServiceConfig } = await import('@slipway/shared/contracts/config.ts');
const { AppError, ERROR_STATUS } = await import('@slipway/shared/contracts/errors.ts');

try {
  const config = await loadServiceConfig({ environment: process.env });
  const { serveUntilSignal } = await import('./serve.ts');
  await serveUntilSignal(config);
} catch (error) {
  const isExpected = error instanceof AppError;
  const text = isExpected ? error.message : String(error instanceof Error ? error.stack : error);
  process.stderr.write(`slipway-inference: ${text}\n`);
  process.exit(isExpected && ERROR_STATUS[error.code] < 500 ? 2 : 1);
}
