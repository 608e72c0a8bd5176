/**
 * `POST /v1/embeddings`: says that there are none.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Route } from '../../service-parts.ts';

export function embeddingsRoute(): Route {
  return () => {
    throw new AppError(
      'not_implemented',
      'embeddings are not made here: this service serves models that continue a text; use an embedding server beside it',
    );
  };
}
