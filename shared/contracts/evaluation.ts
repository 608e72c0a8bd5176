/**
 * What an evaluation of a version finds: figures, every answer, and the comparison with another version. Read by the report, by
 * programs (`slipway eval --json`) and by whoever offers evaluations over HTTP.
 */
import { z } from 'zod';
import { Lineage, Precision } from './manifest.ts';

/** Of the answers, by the libraries that define them. */
export const TEXT_METRICS = [
  'exact_match',
  'token_f1',
  'rouge_l',
  'bleu',
  'distinct_1',
  'distinct_2',
  'repetition',
] as const;
/** Of the wanted answers, by how likely the version finds them. */
export const LIKELIHOOD_METRICS = ['perplexity', 'bits_per_byte'] as const;
export const METRICS = [...TEXT_METRICS, ...LIKELIHOOD_METRICS] as const;
export const Metric = z.enum(METRICS);
export type Metric = z.infer<typeof Metric>;

const count = z.number().int().nonnegative();

/** Of one answer. Shares from 0 to 1, but BLEU, which goes to 100. */
const Scores = z.object({
  exact_match: z.number(),
  token_f1: z.number(),
  rouge_l: z.number(),
  bleu: z.number(),
  repetition: z.number(),
});

const Answer = z.object({
  text: z.string(),
  finish_reason: z.string(),
  tokens: count,
  /** From the request to the whole answer, with the others that were asked at once. */
  milliseconds: z.number(),
});

/** Of the wanted answer after its prompt. */
const Likelihood = z.object({ nats: z.number(), tokens: count, bytes: count, perplexity: z.number() });

/** What one version makes of one sample. `error`: why there is nothing else. */
const Outcome = z.object({
  answer: Answer.nullable(),
  scores: Scores.nullable(),
  likelihood: Likelihood.nullable(),
  error: z.string().nullable(),
});
export type Outcome = z.infer<typeof Outcome>;

const Sample = z.object({
  /** FILE:LINE */
  place: z.string(),
  /** For people: a conversation with its roles. */
  prompt: z.string(),
  reference: z.string(),
  /** One for each version. */
  outcomes: z.array(Outcome),
});

const EvaluatedVersion = z.object({
  /** NAME@v001, or as it was asked for. */
  name: z.string(),
  precision: Precision.nullable(),
  parameters: count.nullable(),
  bytes: count.nullable(),
  created_at: z.string().nullable(),
  /** What its answers depend on: files, runtime, threads. */
  system_fingerprint: z.string().nullable(),
  lineage: Lineage.nullable(),
  figures: z.partialRecord(Metric, z.number()),
  /** Answers that reached the limit of new tokens. */
  cut: count,
  failed: count,
});
export type EvaluatedVersion = z.infer<typeof EvaluatedVersion>;

/** The first version against the second, sample by sample. */
const Difference = z.object({
  metric: Metric,
  difference: z.number(),
  /** 95 % of resamplings of the samples lie between these; null where the figure is not made of samples. */
  low: z.number().nullable(),
  high: z.number().nullable(),
  verdict: z.enum(['better', 'worse', 'no_difference', 'too_few_samples', 'not_tested']),
});
export type Difference = z.infer<typeof Difference>;

export const Evaluation = z.object({
  schema: z.literal(1),
  created_at: z.iso.datetime(),
  data: z.object({
    files: z.array(z.object({ name: z.string(), bytes: count, sha256: z.string() })),
    rejected: z.object({
      count,
      first: z.array(z.object({ file: z.string(), line: z.number(), reason: z.string() })),
    }),
  }),
  settings: z.object({
    metrics: z.array(Metric),
    limit: count.nullable(),
    max_new_tokens: count,
    temperature: z.number(),
    seed: count,
    at_once: count,
  }),
  /** What was not measured, and why: sentences for people. */
  notes: z.array(z.string()).default([]),
  versions: z.array(EvaluatedVersion).min(1).max(2),
  differences: z.array(Difference),
  /** Figures are of those samples that every version has answered. */
  compared: count,
  /** Indices of samples that the second version answers exactly, and the first does not. */
  regressions: z.array(count),
  /** The other way round. */
  improvements: z.array(count),
  samples: z.array(Sample),
});
export type Evaluation = z.infer<typeof Evaluation>;
export type EvaluatedSample = Evaluation['samples'][number];
