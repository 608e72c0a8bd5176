/**
 * Where files lie on this machine is nobody's business: an error that a caller is told has the names that the caller gave. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

/** `given`: what each path was called by the caller. What is no AppError is told to nobody, and stays as it is. */
export function withoutPlaces(error: unknown, given: ReadonlyMap<string, string>): unknown {
  if (!(error instanceof AppError)) return error;
  // The longest first: one may lie in another.
  const paths = [...given.keys()].toSorted((left, right) => right.length - left.length);
  const message = paths.reduce((text, path) => text.replaceAll(path, given.get(path) ?? ''), error.message);
  return new AppError(error.code, message, { cause: error });
}
