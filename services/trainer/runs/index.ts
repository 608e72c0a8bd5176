/**
 * The door to runs: what the command line, and whoever else starts and watches them, uses of this folder.
 */
export { askRun } from './ask-run.ts';
export { EventReader } from './event-log.ts';
export { fetchRun } from './fetch-run.ts';
export { freeRuns } from './free-runs.ts';
export { locateRecipe } from './locate-recipe.ts';
export { openRunQueue } from './open-run-queue.ts';
export { LoggedEvent } from './run-event.ts';
export { listRuns, readRun, runFolder } from './run-folder.ts';
export type { RunRecord } from './run-record.ts';
export { hasEnded } from './run-state.ts';
export { resumeRun, submitRun } from './submit-run.ts';
export { workRunsAlone } from './work-runs-alone.ts';
