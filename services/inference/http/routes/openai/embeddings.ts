/**
 * `POST /v1/embeddings`: says that there are none.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Route } from '../../service-parts.ts';

export function embeddingsRoute(): Route {
  return (context) => {
    // OpenAI's clients ask again after any status from 500 on, unless they are told not to.
    context.header('x-should-retry', 'false');
    throw new AppError(
      'not_implemented',
      'embeddings are not made here: this service serves models that continue a text; use an embedding server beside it',
    );
  };
}
