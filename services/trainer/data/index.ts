/**
 * The data door: what the supervisor and the command line use of this folder.
 */
export { type Prepared, prepareDataset } from './prepare-dataset.ts';
export type { Phase, PrepareRequest } from './prepare-request.ts';
