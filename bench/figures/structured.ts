/**
 * What a prescribed form costs: the engine's decoding speed with a JSON schema beside the same without, in turns, and how long the first
 * token of a form that is new waits for it.
 */
import {
  type Constraint,
  type Engine,
  type LayoutSpec,
  type SequenceRequest,
  startEngine,
} from '@slipway/inference/engine';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { grammarOfFormat } from '../../services/inference/generation/grammar/grammar-of-format.ts';
import { tokenTableOf } from '../../services/inference/generation/token-table.ts';
import { type SequenceTiming, stopwatch } from '../contestant.ts';
import type { Version } from '../field.ts';
import { median, round3 } from '../rounds.ts';
import { tokenizerOf } from '../version.ts';
import type { Prompts } from './speed.ts';

const PROMPT_TOKENS = 64;
const NEW_TOKENS = 128;
const BATCH = 8;

/** Records without end, so that a text of this form is as long as the one without. */
const SCHEMA = {
  type: 'array',
  minItems: 100,
  items: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 40 },
      age: { type: 'integer', minimum: 0, maximum: 150 },
      kind: { enum: ['person', 'animal', 'thing'] },
      tags: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 5 },
    },
    required: ['name', 'age', 'kind', 'tags'],
    additionalProperties: false,
  },
};

export interface StructuredCost {
  readonly model: string;
  readonly cases: readonly {
    readonly sequences: number;
    /** Tokens/s of all sequences together after their first tokens; medians of the rounds. */
    readonly free: number;
    readonly structured: number;
    /** Median of the rounds' own ratios. */
    readonly ratio: number;
    readonly ratios: readonly number[];
  }[];
  /** Milliseconds to the first token: of a free text, of a form that no text had before, of one that is known. */
  readonly first_token_ms: { readonly free: number; readonly new_form: number; readonly known_form: number };
}

export async function measureStructured(
  version: Version,
  { make }: Prompts,
  settings: { threads: number; rounds: number },
): Promise<StructuredCost> {
  const { manifest, folder } = version;
  const graph = manifest.graphs.serving;
  const spec: LayoutSpec = {
    kind: 'graph',
    folder,
    graph,
    threads: settings.threads,
    slots: BATCH,
    contextLength: Math.min(graph.context_length, PROMPT_TOKENS + NEW_TOKENS),
  };
  // Guesses depend on what a text repeats, and a list of records repeats more.
  const engine = await startEngine(spec, { speculate: false });
  const tokens = await tokenTableOf(await tokenizerOf(version), engine.info.vocabularySize);
  const constraintOf = (schema: Record<string, unknown>): Constraint => ({
    grammar: grammarOfFormat({ type: 'json_schema', json_schema: { schema } }),
    tokens,
  });
  const constraint = constraintOf(SCHEMA);
  let prompts = 0;
  const decode = async (sequences: number, form: Constraint | undefined): Promise<readonly SequenceTiming[]> => {
    const running = Array.from({ length: sequences }, () => generate(engine, make(PROMPT_TOKENS, prompts++), form));
    return Promise.all(running);
  };
  try {
    // Starts the thread that follows forms, and compiles this one.
    await decode(1, constraint);
    await decode(1, undefined);
    const cases = [];
    for (const sequences of [1, BATCH]) {
      const rounds = [];
      for (let round = 0; round < settings.rounds; round++) {
        const free = speedOf(await decode(sequences, undefined));
        rounds.push({ free, structured: speedOf(await decode(sequences, constraint)) });
      }
      const ratios = rounds.map(({ free, structured }) => structured / free);
      cases.push({
        sequences,
        free: round3(median(rounds.map(({ free }) => free))),
        structured: round3(median(rounds.map(({ structured }) => structured))),
        ratio: round3(median(ratios)),
        ratios: ratios.map(round3),
      });
    }
    const first = { free: [] as number[], new_form: [] as number[], known_form: [] as number[] };
    for (let round = 0; round < settings.rounds; round++) {
      const newForm = constraintOf({ ...SCHEMA, minItems: 101 + round });
      first.free.push(firstOf(await decode(1, undefined)));
      first.new_form.push(firstOf(await decode(1, newForm)));
      first.known_form.push(firstOf(await decode(1, newForm)));
    }
    return {
      model: version.reference,
      cases,
      first_token_ms: {
        free: round3(median(first.free)),
        new_form: round3(median(first.new_form)),
        known_form: round3(median(first.known_form)),
      },
    };
  } finally {
    await engine.close();
  }
}

/** All begin together and have as many tokens, so that the slowest tells how long all took. */
function speedOf(timings: readonly SequenceTiming[]): number {
  const seconds = Math.max(...timings.map(({ decodeSeconds }) => decodeSeconds));
  return timings.reduce((sum, { newTokens }) => sum + newTokens - 1, 0) / seconds;
}

function firstOf(timings: readonly SequenceTiming[]): number {
  return median(timings.map(({ promptSeconds }) => promptSeconds * 1000));
}

let submitted = 0;

function generate(
  engine: Engine,
  prompt: readonly number[],
  constraint: Constraint | undefined,
): Promise<SequenceTiming> {
  const watch = stopwatch(prompt.length);
  const request: SequenceRequest = {
    id: `sequence-${submitted++}`,
    prompt,
    maxNewTokens: NEW_TOKENS,
    eosTokenIds: [],
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 },
    ...(constraint === undefined ? {} : { constraint }),
    deadline: steadyNow() + 600_000,
  };
  return new Promise((resolve, reject) => {
    engine.submit(request, (event) => {
      if (event.type === 'token') watch.token(event.token);
      else if (event.type === 'finished') {
        if (event.reason === 'length') resolve(watch.timing());
        else reject(new Error(`the sequence ended with ${event.reason}: ${event.error ?? ''}`));
      }
    });
  });
}
