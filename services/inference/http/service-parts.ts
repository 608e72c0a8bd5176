/**
 * The long-lived parts that routes share. Types only; service.ts puts them together.
 */

import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { BodyReaders } from '@slipway/shared/http/body-readers.ts';
import type { InFlight } from '@slipway/shared/http/in-flight.ts';
import type { KeyRing } from '@slipway/shared/http/key-ring.ts';
import type { UnsentAnswers } from '@slipway/shared/http/unsent-answers.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { OpenSockets } from '@slipway/shared/sockets/open-sockets.ts';
import type { AnswerCache } from '../generation/answer-cache.ts';
import type { Occupancy, Turns } from '../generation/occupancy.ts';
import type { ServedModels } from '../models/served-models.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { LazyBatches } from './batches/lazy-batches.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Tracing } from './tracing/tracing.ts';

export interface ServiceParts {
  readonly config: ServiceConfig;
  readonly models: ServedModels;
  readonly log: Logger;
  readonly occupancy: Occupancy;
  /** When the requests of these routes run: by the occupancy itself, or in what it leaves over. */
  readonly turns: Turns;
  readonly metrics: Metrics;
  readonly inFlight: InFlight;
  /** Null unless a collector is named. */
  readonly tracing: Tracing | null;
  readonly bodies: BodyReaders;
  readonly unsent: UnsentAnswers;
  readonly keys: KeyRing;
  /** Null: answers are not kept. */
  readonly answers: AnswerCache | null;
  readonly sessions: Sessions;
  readonly sockets: OpenSockets;
  readonly batches: LazyBatches;
}

export type { Route } from '@slipway/shared/http/request-context.ts';
