/**
 * The long-lived parts that routes share. Types only; service.ts puts them together.
 */
import type { TrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import type { FileStore } from '@slipway/shared/files/file-store.ts';
import type { BodyReaders } from '@slipway/shared/http/body-readers.ts';
import type { InFlight } from '@slipway/shared/http/in-flight.ts';
import type { KeyRing } from '@slipway/shared/http/key-ring.ts';
import type { UnsentAnswers } from '@slipway/shared/http/unsent-answers.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { OpenSockets } from '@slipway/shared/sockets/open-sockets.ts';
import type { ServeVersion } from '../evaluation/serve-version.ts';
import type { TaskRunner } from './tasks/task-runner.ts';
import type { TrainerMetrics } from './trainer-metrics.ts';

export interface ServiceParts {
  readonly config: TrainerConfig;
  readonly log: Logger;
  readonly keys: KeyRing;
  readonly queue: JobQueue;
  readonly files: FileStore;
  readonly bodies: BodyReaders;
  readonly inFlight: InFlight;
  readonly unsent: UnsentAnswers;
  readonly sockets: OpenSockets;
  readonly tasks: TaskRunner;
  /** Undefined: versions cannot be asked here. */
  readonly serve: ServeVersion | undefined;
  readonly metrics: TrainerMetrics;
  /** Aborted when feeds are to end: the service leaves. */
  readonly leaving: AbortSignal;
  /** Whether this service works on the queue at the moment. */
  readonly isWorking: () => boolean;
  /** Undefined when runs can be taken now. */
  readonly whyNotReady: () => Promise<string | undefined>;
}
