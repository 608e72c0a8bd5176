/**
 * The long-lived parts that routes share. Types and one question; main.ts or a test puts them together.
 */

import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { KeyRing } from '@slipway/shared/http/key-ring.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { Handler } from 'hono';
import type { LoadedModel } from '../generation/loaded-model.ts';
import type { Occupancy } from '../generation/occupancy.ts';
import type { ModelHost } from '../models/model-state.ts';
import type { InFlight } from './in-flight.ts';
import type { Metrics } from './metrics.ts';

export interface ServiceParts {
  readonly config: ServiceConfig;
  readonly host: ModelHost;
  readonly log: Logger;
  readonly occupancy: Occupancy;
  readonly metrics: Metrics;
  readonly inFlight: InFlight;
  readonly keys: KeyRing;
}

export type Route = Handler<RequestEnvironment>;

const LOADING_RETRY_AFTER = 2;

/** AppError model_not_ready with what it is doing meanwhile. */
export function readyModel(host: ModelHost): LoadedModel {
  const state = host.state();
  if (state.kind === 'ready') return state.model;
  const reason =
    state.kind === 'loading' ? `the model is not ready: ${state.stage}` : `the model failed: ${state.reason}`;
  throw new AppError('model_not_ready', reason, { retryAfter: LOADING_RETRY_AFTER });
}
