/**
 * The labels of everything that is counted by model, as vLLM has them, and the bounds of its histograms.
 */

/** vLLM numbers the engines of one server; here each model has one. */
export function labelsOf(model: string): { readonly model_name: string; readonly engine: string } {
  return { model_name: model, engine: '0' };
}

export const LABELS = ['model_name', 'engine'];

/** Dashboards ask for the shares below 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5 and 10 s. */
export const FIRST_TOKEN_BOUNDS = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 7.5, 10, 20, 40, 80,
];
/** Dashboards ask for the shares below 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3 and 0.5 s. */
export const PER_TOKEN_BOUNDS = [
  0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2.5, 5,
];
export const REQUEST_BOUNDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 300,
];
export const TOKEN_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];
