/**
 * The data door: what the supervisor and the command line use of this folder.
 */
export { type Inspection, inspectData, type Lengths } from './inspect-data.ts';
export { describeUntemplated, type Preparation } from './preparation.ts';
export { type Prepared, prepareDataset } from './prepare-dataset.ts';
export type { Phase, PrepareRequest } from './prepare-request.ts';
export type { Part } from './show-example.ts';
export { describeUnknown } from './unknown-characters.ts';
