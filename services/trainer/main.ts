/**
 * The trainer's service as a process of its own: `node services/trainer/main.ts`. Settings come from the environment.
 */
import { AppError, ERROR_STATUS } from '@slipway/shared/contracts/errors.ts';
import { loadTrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { trainUntilSignal } from './serve.ts';

try {
  await trainUntilSignal(loadTrainerConfig(process.env));
} catch (error) {
  const isExpected = error instanceof AppError;
  const text = isExpected ? error.message : String(error instanceof Error ? error.stack : error);
  process.stderr.write(`slipway-trainer: ${text}\n`);
  process.exit(isExpected && ERROR_STATUS[error.code] < 500 ? 2 : 1);
}
