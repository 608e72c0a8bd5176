/**
 * The Python that trains, for commands that need it and do not set it up themselves.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { findKernelEnvironment } from '@slipway/trainer/kernel-environment';

/** AppError not_found when there is none. */
export async function requirePython(): Promise<string> {
  const found = await findKernelEnvironment(process.env);
  if (!found) throw new AppError('not_found', 'the Python that trains is not set up; run ./slipway setup trainer');
  return found.python;
}
