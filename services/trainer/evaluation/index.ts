/**
 * The door to evaluations: what the command line, and whoever else evaluates versions, uses of this folder.
 */
export { type EvaluationRequest, evaluate, type VersionToAsk } from './evaluate.ts';
export { renderReport } from './report/render-report.ts';
export { changeText, comparisonText, figureText, METRIC_WORDS, samplesText, VERDICT_WORDS } from './report/words.ts';
export { scoringTools } from './scoring-tools.ts';
export type { ServeVersion } from './serve-version.ts';
