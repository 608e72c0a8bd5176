/**
 * One or two versions on one set of samples: asked, scored, compared. Owns which samples count and in which order things are done. Knows
 * no terminal and not whose the service is.
 */
import { inParallel } from '@slipway/shared/bucket/in-parallel.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type EvaluatedVersion,
  type Evaluation,
  LIKELIHOOD_METRICS,
  type Metric,
  type Outcome,
  TEXT_METRICS,
} from '@slipway/shared/contracts/evaluation.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { ServiceClient } from '@slipway/shared/lines/service-client.ts';
import type { KernelCommand } from '../supervisor/kernel-command.ts';
import { type Answered, type AskOptions, answerSample, type Likelihood, Refused, scoreSample } from './ask-version.ts';
import { chooseMetrics, isLikelihood, ofAnswers } from './choose-metrics.ts';
import { differenceOf } from './compare.ts';
import { type Measured, SUMMED_METRICS, summandsOf, sumOf } from './metric-sums.ts';
import { promptText } from './prompt-text.ts';
import { readSamples, type Sample, type SampleSource } from './read-samples.ts';
import { type PairScores, scoreAnswers } from './score-answers.ts';
import { toolsMissing } from './scoring-tools.ts';

export interface VersionToAsk {
  /** As the service knows it: NAME@v001. */
  readonly name: string;
  /** Null when it cannot be seen: then the result says less of where it comes from. */
  readonly manifest: Manifest | null;
}

export interface EvaluationRequest extends SampleSource {
  readonly client: ServiceClient;
  /** The second is what the first is compared with. */
  readonly versions: readonly [VersionToAsk, VersionToAsk?];
  /** Null: all that the data has something for. */
  readonly metrics: readonly Metric[] | null;
  readonly maxNewTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly seed: number;
  /** Samples that are asked at once. */
  readonly atOnce: number;
  /** Null where it is not installed, or nothing needs it. */
  readonly scoring: KernelCommand | null;
  /** `phase`: the version that is asked, or what else is done. */
  readonly onProgress: (phase: string, done: number, whole: number) => void;
}

interface Observed {
  readonly answer: Answered | null;
  readonly likelihood: Likelihood | null;
  readonly error: string | null;
}

interface VersionOutcome {
  readonly version: VersionToAsk;
  readonly observed: readonly Observed[];
}

/** AppError not_found (data, version), invalid_source, invalid_field when no version can answer any of it, overloaded, internal. */
export async function evaluate(request: EvaluationRequest): Promise<Evaluation> {
  const { samples, data } = await readSamples(request);
  const { metrics, notes } = chooseMetrics(request.metrics, samples);
  const needing = ofAnswers(metrics);
  if (request.scoring === null && needing.length > 0) throw toolsMissing(needing);
  const asked: VersionOutcome[] = [];
  for (const version of request.versions) {
    if (version !== undefined) asked.push({ version, observed: await askAll(version, samples, metrics, request) });
  }
  const compared = samples.flatMap((_, index) => (asked.every((one) => !one.observed[index]?.error) ? [index] : []));
  if (compared.length === 0) throw nothingAnswered(asked);
  const measured: MeasuredVersion[] = [];
  for (const one of asked) measured.push(await measure(one, samples, compared, metrics, request));
  const [ours, theirs] = measured;
  return {
    schema: 1,
    created_at: new Date().toISOString(),
    data,
    settings: {
      metrics: [...metrics],
      limit: request.limit,
      max_new_tokens: request.maxNewTokens,
      temperature: request.temperature,
      seed: request.seed,
      at_once: request.atOnce,
    },
    notes,
    versions: measured.map(({ version, observed, figures }) => describe(version, observed, figures)),
    differences: ours && theirs ? differences(metrics, ours, theirs) : [],
    compared: compared.length,
    regressions: ours && theirs ? exactOnlyIn(theirs, ours, samples.length) : [],
    improvements: ours && theirs ? exactOnlyIn(ours, theirs, samples.length) : [],
    samples: samples.map((sample, index) => ({
      place: sample.place,
      prompt: promptText(sample.question),
      reference: sample.reference,
      outcomes: measured.map(({ observed, scores }) => outcomeOf(observed[index], scores.get(index))),
    })),
  };
}

async function askAll(
  { name }: VersionToAsk,
  samples: readonly Sample[],
  metrics: readonly Metric[],
  request: EvaluationRequest,
): Promise<Observed[]> {
  const { client, maxNewTokens, temperature, seed, onProgress } = request;
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const options: AskOptions = { model: name, maxNewTokens, temperature, seed, signal };
  const wants = { answers: ofAnswers(metrics).length > 0, likelihood: metrics.some(isLikelihood) };
  const observed: Observed[] = new Array(samples.length);
  let done = 0;
  onProgress(name, 0, samples.length);
  await inParallel(samples.length, request.atOnce, async (index) => {
    const sample = samples[index];
    if (sample === undefined) return;
    try {
      observed[index] = await observe(client, sample, wants, options);
    } catch (error) {
      // The others need not be waited for.
      stop.abort(error);
      throw error;
    }
    onProgress(name, ++done, samples.length);
  });
  return observed;
}

async function observe(
  client: ServiceClient,
  sample: Sample,
  wants: { readonly answers: boolean; readonly likelihood: boolean },
  options: AskOptions,
): Promise<Observed> {
  const { question } = sample;
  try {
    const answer = wants.answers && question.kind !== 'text' ? await answerSample(client, question, options) : null;
    const likelihood = wants.likelihood ? await scoreSample(client, sample, options) : null;
    return { answer, likelihood, error: null };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { answer: null, likelihood: null, error: error.message };
  }
}

function nothingAnswered(asked: readonly VersionOutcome[]): AppError {
  const failed = asked.find(({ observed }) => observed.every(({ error }) => error !== null)) ?? asked[0];
  const why = failed?.observed.find(({ error }) => error !== null)?.error ?? '';
  return new AppError('invalid_field', `${failed?.version.name} answers none of the samples: ${why}`);
}

type MeasuredVersion = VersionOutcome & {
  readonly figures: EvaluatedVersion['figures'];
  /** By index; of those that were answered by every version. */
  readonly scores: ReadonlyMap<number, PairScores>;
  readonly samples: readonly Measured[];
};

async function measure(
  { version, observed }: VersionOutcome,
  samples: readonly Sample[],
  compared: readonly number[],
  metrics: readonly Metric[],
  { scoring, signal, onProgress }: EvaluationRequest,
): Promise<MeasuredVersion> {
  const answered = compared.filter((index) => observed[index]?.answer);
  const figures: Partial<Record<Metric, number>> = {};
  const scores = new Map<number, PairScores>();
  if (answered.length > 0) {
    if (scoring === null) throw new Error('no kernel to score answers with');
    onProgress('scoring', 0, 1);
    const pairs = answered.map((index) => ({
      prediction: observed[index]?.answer?.text ?? '',
      reference: samples[index]?.reference ?? '',
    }));
    const scored = await scoreAnswers(pairs, scoring, signal);
    for (const metric of TEXT_METRICS) if (metrics.includes(metric)) figures[metric] = scored.figures[metric];
    for (const [place, index] of answered.entries()) {
      const one = scored.each[place];
      if (one !== undefined) scores.set(index, one);
    }
  }
  const all = compared.map(
    (index): Measured => ({ scores: scores.get(index) ?? null, likelihood: observed[index]?.likelihood ?? null }),
  );
  for (const metric of LIKELIHOOD_METRICS) {
    const summed = SUMMED_METRICS[metric];
    const summands = summed && summandsOf(summed, all);
    if (metrics.includes(metric) && summed && summands) figures[metric] = summed.figure(sumOf(summands));
  }
  return { version, observed, figures, scores, samples: all };
}

function differences(metrics: readonly Metric[], ours: MeasuredVersion, theirs: MeasuredVersion) {
  return metrics.flatMap((metric) => {
    const left = ours.figures[metric];
    const right = theirs.figures[metric];
    if (left === undefined || right === undefined) return [];
    // Texts among them are answered by nobody: they count for the likelihood alone.
    const samplesOf = ({ samples }: MeasuredVersion) =>
      isLikelihood(metric) ? samples : samples.filter(({ scores }) => scores !== null);
    return differenceOf(
      metric,
      { figure: left, samples: samplesOf(ours) },
      { figure: right, samples: samplesOf(theirs) },
    );
  });
}

function exactOnlyIn(one: MeasuredVersion, other: MeasuredVersion, count: number): number[] {
  return Array.from({ length: count }, (_, index) => index).filter(
    (index) => one.scores.get(index)?.exact_match === 1 && other.scores.get(index)?.exact_match === 0,
  );
}

function outcomeOf(observed: Observed | undefined, scores: PairScores | undefined): Outcome {
  const { answer = null, likelihood = null, error = null } = observed ?? {};
  return {
    answer: answer && withoutFingerprint(answer),
    scores: scores ? withoutCounts(scores) : null,
    likelihood,
    error,
  };
}

function withoutFingerprint({ system_fingerprint: _, ...answer }: Answered) {
  return answer;
}

function withoutCounts({ bleu_counts: _, ...scores }: PairScores) {
  return scores;
}

function describe(
  { name, manifest }: VersionToAsk,
  observed: readonly Observed[],
  figures: EvaluatedVersion['figures'],
): EvaluatedVersion {
  return {
    name,
    precision: manifest?.precision ?? null,
    parameters: manifest?.architecture.parameters ?? null,
    bytes: manifest?.files.reduce((sum, { bytes }) => sum + bytes, 0) ?? null,
    created_at: manifest?.created_at ?? null,
    system_fingerprint: observed.find(({ answer }) => answer)?.answer?.system_fingerprint ?? null,
    lineage: manifest?.lineage ?? null,
    figures,
    cut: observed.filter(({ answer }) => answer?.finish_reason === 'length').length,
    failed: observed.filter(({ error }) => error !== null).length,
  };
}
