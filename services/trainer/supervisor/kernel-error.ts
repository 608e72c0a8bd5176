/**
 * A kernel's failure on its way up: commands tell its code, and whoever decides about another try asks for its class.
 */
import { AppError, type ErrorCode } from '@slipway/shared/contracts/errors.ts';
import type { Failure } from './classify-exit.ts';
import type { FailureClass } from './kernel-protocol.ts';

const CODES: Readonly<Partial<Record<FailureClass, ErrorCode>>> = {
  user_input: 'invalid_source',
  disk_full: 'disk_full',
  out_of_memory: 'insufficient_memory',
  environment: 'not_implemented',
};

export class KernelError extends AppError {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(CODES[failure.class] ?? 'internal', failure.message);
    this.failure = failure;
  }
}
