/**
 * The one door to the engine: everything outside reaches it through here.
 */
export type { Layout } from '../runtime/layout.ts';
export { type GraphLayoutSpec, type LayoutSpec, openLayout } from '../runtime/open-layout.ts';
export { type GraphSource, measureCache } from '../runtime/shared-cache-layout.ts';
export { readProcessorLimits, threadsFor } from '../runtime/threads.ts';
export { type EngineProcess, type StartOptions, startEngine } from './client.ts';
export * from './contract.ts';
export { createEngine, type EngineOptions } from './loop.ts';
export { STEP_TOKEN_BOUNDS } from './step-counts.ts';
export {
  type EngineState,
  type SupervisedEngine,
  type SuperviseOptions,
  superviseEngine,
} from './supervised-engine.ts';
