/** A child whose layout does not accept the model. */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { serveEngine } from '../serve-engine.ts';

serveEngine(async () => {
  throw new AppError('invalid_source', 'the graph has no logits');
});
