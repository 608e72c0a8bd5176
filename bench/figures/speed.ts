/**
 * The figures that compare contestants over the same tasks: decode, prefill, throughput, http, cold-start, memory.
 */
import type { Performance, SequenceTiming } from '../contestant.ts';
import { engineEntries, type Field, httpEntries, type Measure, peerEntries, plainEngineEntries } from '../field.ts';
import type { Entry } from '../rounds.ts';

export interface SpeedFigure {
  readonly summary: string;
  readonly unit: string;
  readonly higherIsBetter: boolean;
  entries(field: Field, prompts: Prompts): Entry[];
}

export interface Prompts {
  readonly make: (length: number, n?: number) => number[];
  readonly newTokens: number;
}

const DECODE_LENGTHS = [32, 512, 1024, 1900];
const BATCHES = [4, 8, 16];

export const SPEED_FIGURES = {
  decode: {
    summary: 'tokens/s of one sequence after prompts of 32, 512, 1,024 and 1,900 tokens',
    unit: 'tokens/s',
    higherIsBetter: true,
    entries: (field, { make, newTokens }) => {
      const measure: Measure = async (perform) => {
        const prompts = DECODE_LENGTHS.map((length) => make(length));
        // The first prompt is run twice: the first time warms up.
        const { sequences } = await perform({ kind: 'single', prompts: [make(32, 1), ...prompts], newTokens });
        return Object.fromEntries(sequences.slice(1).map((one) => [`after ${one.promptTokens}`, decodeSpeed(one)]));
      };
      return [...everybody(field, measure), ...plainEngineEntries(field, measure)];
    },
  },
  prefill: {
    summary: 'prompt tokens/s of one sequence, a prompt of 512 tokens',
    unit: 'tokens/s',
    higherIsBetter: true,
    entries: (field, { make }) =>
      everybody(field, async (perform) => {
        const prompts = [make(512, 1), make(512, 2), make(512, 3)];
        const { sequences } = await perform({ kind: 'single', prompts, newTokens: 2 });
        const speeds = sequences.slice(1).map(({ promptTokens, promptSeconds }) => promptTokens / promptSeconds);
        return { 'prompt of 512': Math.max(...speeds) };
      }),
  },
  throughput: {
    summary: 'tokens/s of 4, 8 and 16 sequences together, prompts of 32 tokens included in the time',
    unit: 'tokens/s',
    higherIsBetter: true,
    entries: (field, prompts) => everybody(field, batches(prompts, BATCHES)),
  },
  http: {
    summary: 'the same through as many streaming HTTP clients, beside the engine alone',
    unit: 'tokens/s',
    higherIsBetter: true,
    entries: (field, prompts) => {
      const measure = batches(prompts, BATCHES);
      const alone = engineEntries(field, measure).map((entry) => ({ ...entry, name: 'engine alone', isPeer: true }));
      return [...httpEntries(field, measure), ...alone];
    },
  },
  'cold-start': {
    summary: 'seconds from the start of the process to its first token, a prompt of 32 tokens',
    unit: 's',
    higherIsBetter: false,
    entries: (field, { make }) => {
      const measure: Measure = async (perform) => {
        const { firstTokenSeconds } = await perform({ kind: 'single', prompts: [make(32)], newTokens: 2 });
        return { 'first token': firstTokenSeconds };
      };
      return [...everybody(field, measure), ...httpEntries(field, measure)];
    },
  },
  memory: {
    summary:
      'MiB of resident memory at most, child processes included: one sequence of 32, and of 1,900 tokens; 16 of 32',
    unit: 'MiB',
    higherIsBetter: false,
    entries: (field, { make, newTokens }) =>
      everybody(field, async (perform) => {
        const short = await perform({ kind: 'single', prompts: [make(32)], newTokens });
        const long = await perform({ kind: 'single', prompts: [make(1900)], newTokens });
        const many = await perform({ kind: 'batch', prompts: sixteen(make), newTokens });
        return { 'after 32': short.peakRssMib, 'after 1900': long.peakRssMib, '16 sequences': many.peakRssMib };
      }),
  },
} satisfies Record<string, SpeedFigure>;

function everybody(field: Field, measure: Measure): Entry[] {
  return [...engineEntries(field, measure), ...peerEntries(field, measure)];
}

function batches({ make, newTokens }: Prompts, sizes: readonly number[]): Measure {
  return async (perform) => {
    const points: Record<string, number> = {};
    for (const size of sizes) {
      const prompts = Array.from({ length: size }, (_, n) => make(32, n));
      points[`${size} sequences`] = throughput(await perform({ kind: 'batch', prompts, newTokens }));
    }
    return points;
  };
}

function sixteen(make: Prompts['make']): number[][] {
  return Array.from({ length: 16 }, (_, n) => make(32, n));
}

/** Tokens after the first, over the time after the first. */
function decodeSpeed({ newTokens, decodeSeconds }: SequenceTiming): number {
  return (newTokens - 1) / decodeSeconds;
}

function throughput({ sequences, totalSeconds }: Performance): number {
  return sequences.reduce((sum, { newTokens }) => sum + newTokens, 0) / totalSeconds;
}
