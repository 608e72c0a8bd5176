/**
 * What whoever makes traces is told of a request. Types only; implemented with OpenTelemetry.
 */
import type { GenerateRequest } from '@slipway/shared/contracts/generate.ts';
import type { FinishedRequest } from '@slipway/shared/http/request-context.ts';
import type { GenerationObserver } from '../../generation/observer.ts';

/** What a trace says of a generation before it begins. Nothing of its text. */
export interface TracedGeneration {
  readonly id: string;
  readonly model: string;
  readonly version: string | undefined;
  readonly isChat: boolean;
  readonly settings: Omit<GenerateRequest, 'prompt'>;
}

export interface RequestTrace {
  /** For the request's line in the log. */
  readonly ids: { readonly trace_id: string; readonly span_id: string };
  observerFor(generation: TracedGeneration): GenerationObserver;
  end(request: FinishedRequest): void;
}

export interface Tracer {
  begin(request: { method: string; path: string; header(name: string): string | undefined }): RequestTrace;
  /** Sends what is left, for a short time. */
  close(): Promise<void>;
}
