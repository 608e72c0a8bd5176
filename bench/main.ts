/**
 * `slipway bench`: one command per figure, JSON on stdout, progress on stderr. Chooses the contestants and hands them to the
 * figure; knows no contestant and no figure from inside.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Field, PEERS, type Peer, type Version, withQ4_0 } from './field.ts';
import { measureChatLatency } from './figures/chat-latency.ts';
import { measureConversion } from './figures/convert.ts';
import { measureFirstStep } from './figures/first-step.ts';
import { measureImage } from './figures/image.ts';
import { measureLlamaCppWeights } from './figures/llama-cpp-weights.ts';
import { measureObserving } from './figures/observing.ts';
import { measureProbe } from './figures/probe.ts';
import { measureQueue } from './figures/queue.ts';
import { measureSecondTurn } from './figures/second-turn.ts';
import { measureSeveralModels } from './figures/several-models.ts';
import { measureSoak } from './figures/soak.ts';
import { type Prompts, SPEED_FIGURES } from './figures/speed.ts';
import { measureStructured } from './figures/structured.ts';
import { measureTokenizer } from './figures/tokenizer.ts';
import { installPeers } from './peers.ts';
import { promptMaker } from './prompts.ts';
import { ratios, runRounds } from './rounds.ts';
import { openVersion, tokenizerOf } from './version.ts';

interface Options {
  readonly model: string[];
  readonly gguf: string[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly newTokens: number;
  readonly threads: number;
  readonly bucket: string;
  readonly seconds: number;
  readonly requests: number;
  readonly source?: string;
  readonly precision: string[];
  readonly parityText?: string;
  readonly text?: string;
}

interface VersionFigure {
  readonly summary: string;
  readonly unit: string;
  measure(version: Version, prompts: Prompts, options: Options): Promise<object>;
}

/** Those without peers, of one version after the other. */
const VERSION_FIGURES: Readonly<Record<string, VersionFigure>> = {
  probe: {
    summary: 'p99 of /healthz while 16 clients with prompts of 2,048 tokens saturate the engine',
    unit: 'ms',
    measure: measureProbe,
  },
  'chat-latency': {
    summary: "what HTTP and OpenAI's client add to the engine's own time, 16 clients chatting",
    unit: 'ms',
    measure: measureChatLatency,
  },
  structured: {
    summary: 'decoding speed with a JSON schema beside the same without, 1 and 8 sequences',
    unit: 'tokens/s',
    measure: measureStructured,
  },
  'second-turn': {
    summary: "time to the first token of a chat's second turn beside that of the same chat computed anew",
    unit: 'ms',
    measure: measureSecondTurn,
  },
  soak: {
    summary: 'whether memory stays flat over many requests of all kinds, per 1,000 requests',
    unit: 'MiB',
    measure: (version, prompts, options) => measureSoak(version, prompts, options, tell),
  },
};
const OTHER_FIGURES = {
  'several-models': 'memory of a service with all versions given beside each alone, and after unloading (MiB)',
  image: "bytes of a container's production tree, and milliseconds until its process is ready (no model needed)",
  observing: 'what metrics cost: nanoseconds per token, milliseconds per scrape (no model needed)',
  'first-step': "seconds from `slipway train` to a training's first step (--source RECIPE)",
  queue: '10,000 jobs enqueued and drained, one after the other, in SQLite and in Redis (no model needed)',
  convert: 'seconds and memory of a conversion (--source)',
  tokenizer: 'text to token ids, beside tokenizers in Python (--source FOLDER --text FILE; MB/s of processor time)',
  quality:
    'perplexity, KL divergence and top-1 agreement against the source: as published (--model), and again (--source)',
};
const SUMMARIES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries({ ...SPEED_FIGURES, ...VERSION_FIGURES }).map(([name, { summary }]) => [name, summary]),
  ),
  ...OTHER_FIGURES,
};

const tell = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)}  ${line}`);

const program = new Command('slipway bench')
  .description('Measures one figure, peers beside us in interleaved rounds. JSON on stdout, progress on stderr.')
  .argument('<figure>', Object.keys(SUMMARIES).join(', '))
  .option('--model <reference>', 'a version to measure; may be given again', collect, [])
  .option('--gguf <file>', 'the same model for node-llama-cpp; may be given again', collect, [])
  .addOption(
    new Option('--peers <names...>', 'who else competes; "none" for nobody').choices([...PEERS, 'none']).default(PEERS),
  )
  .option('--rounds <number>', 'interleaved rounds', positive, 3)
  .option('--new-tokens <number>', 'tokens generated per sequence', positive, 64)
  .option('--threads <number>', 'threads of every contestant', positive, availableParallelism())
  .option('--seconds <number>', 'probe, chat-latency: how long clients ask', positive, 30)
  .option('--requests <number>', 'soak: how many', positive, 20_000)
  .option('--bucket <url>', 'where the versions are', process.env.BUCKET_URL || 'bucket')
  .option('--source <path>', 'convert, quality: the checkpoint; tokenizer: its folder; first-step: a recipe')
  .option('--precision <name>', 'convert, quality: may be given again; default int8 and int4', collect, [])
  .option('--parity-text <file>', 'convert, quality: the text to judge on')
  .option('--text <file>', 'tokenizer: the text to encode')
  .addHelpText(
    'after',
    `
Figures:
${Object.entries(SUMMARIES)
  .map(([name, summary]) => `  ${name.padEnd(16)}${summary}`)
  .join('\n')}

Examples:
  slipway bench decode --model smol-int8 --model smol-int4 --gguf model-q4_1.gguf > decode.json
  slipway bench http --model smol-int8 --peers none
  slipway bench convert --source model-q4_1.gguf --precision int8`,
  )
  .action(main);

async function main(figure: string, options: Options): Promise<void> {
  const report = await measure(figure, options);
  console.log(JSON.stringify({ figure, summary: SUMMARIES[figure], ...circumstances(options), ...report }, null, 1));
}

async function measure(figure: string, options: Options): Promise<object> {
  if (figure === 'image') return { results: await measureImage(options.rounds) };
  if (figure === 'observing') return { results: await measureObserving(options.rounds) };
  if (figure === 'first-step') {
    const recipe = options.source ?? 'recipes/shakespeare-gpt2.yaml';
    return { unit: 's', results: await measureFirstStep(recipe, options.rounds) };
  }
  if (figure === 'queue') return { results: await measureQueue(options.rounds, tell) };
  if (figure === 'tokenizer') {
    const { source, text, rounds } = options;
    if (source === undefined || text === undefined) {
      throw new AppError('invalid_field', 'Say what to measure: slipway bench tokenizer --source FOLDER --text FILE.');
    }
    return { unit: 'MB/s', results: measureTokenizer(source, text, rounds) };
  }
  if (options.source === undefined && (figure === 'convert' || options.model.length === 0)) {
    const wanted = figure === 'convert' ? '--source PATH' : '--model NAME';
    throw new AppError(
      'invalid_field',
      `Say what to measure: slipway bench ${figure} ${wanted} (--help shows examples).`,
    );
  }
  if (figure === 'convert') return { results: measureSource(options, options.rounds) };
  if (figure === 'quality') {
    return {
      published: await publishedQuality(options),
      recomputed: measureSource(options, 1),
      llama_cpp: await llamaCppQuality(options),
    };
  }
  const field = await gatherField(options);
  const [first] = field.versions;
  if (!first)
    throw new AppError('invalid_field', 'Say which version to measure: --model NAME (it may be given again).');
  const prompts = { make: await promptMaker(await tokenizerOf(first)), newTokens: options.newTokens };
  const ofVersion = VERSION_FIGURES[figure];
  if (ofVersion) {
    const results = [];
    for (const version of field.versions) {
      tell(`measuring ${version.reference}`);
      results.push(await ofVersion.measure(version, prompts, options));
    }
    return { unit: ofVersion.unit, results };
  }
  if (figure === 'several-models') {
    if (field.versions.length < 2)
      throw new AppError('invalid_field', 'Give at least two versions: --model NAME --model OTHER.');
    return { unit: 'MiB', results: await measureSeveralModels(field.versions, prompts, options) };
  }
  const speed = Object.entries(SPEED_FIGURES).find(([name]) => name === figure)?.[1];
  if (!speed) {
    throw new AppError(
      'invalid_field',
      `There is no figure "${figure}". There are: ${Object.keys(SUMMARIES).join(', ')}.`,
    );
  }
  if (figure !== 'http' && field.peers.size > 0) installPeers(tell);
  const { results, failures } = await runRounds(speed.entries(field, prompts), options.rounds, tell);
  return { unit: speed.unit, results, ratios: ratios(results, speed.higherIsBetter), failures };
}

/** The conversions asked for; none without --source. */
function measureSource({ source, precision, parityText }: Options, rounds: number): object[] {
  if (source === undefined) return [];
  return (precision.length > 0 ? precision : ['int8', 'int4']).map((each) => {
    tell(`converting ${source} to ${each}`);
    return measureConversion(source, each, rounds, parityText);
  });
}

/** llama.cpp's precisions of the same source; none without --source or that peer. */
async function llamaCppQuality({ source, peers, parityText }: Options): Promise<object[]> {
  if (source === undefined || !peers.includes('node-llama-cpp')) return [];
  installPeers(tell);
  return measureLlamaCppWeights(source, parityText, tell);
}

/** What the versions' manifests say of themselves. */
async function publishedQuality(options: Options): Promise<object[]> {
  const { versions } = await gatherField(options);
  return versions.map(({ reference, manifest: { precision, bits_per_weight, parity } }) => ({
    model: reference,
    precision,
    bits_per_weight,
    perplexity_ratio: Number((parity.perplexity / parity.perplexity_source).toFixed(5)),
    parity,
  }));
}

async function gatherField(options: Options): Promise<Field> {
  process.env.BUCKET_URL = options.bucket;
  const versions = [];
  for (const reference of options.model) versions.push({ reference, ...(await openVersion(reference)) });
  const peers = new Set(PEERS.filter((peer) => options.peers.includes(peer)));
  const usesLlamaCpp = peers.has('node-llama-cpp') && options.gguf.length > 0;
  if (usesLlamaCpp) installPeers(tell);
  const ggufs = usesLlamaCpp ? withQ4_0(options.gguf, tell) : [];
  return { versions, ggufs, peers, threads: options.threads };
}

/** What a reader needs to judge the numbers. */
function circumstances({ rounds, newTokens, threads }: Options): object {
  return {
    at: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model.trim(),
      cores: availableParallelism(),
      instructions: instructionSets(),
      memory_gib: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
    rounds,
    new_tokens: newTokens,
    threads,
  };
}

/** Those that decide which integer kernels run. */
function instructionSets(): string[] {
  try {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
    const telling = ['avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'amx_int8', 'asimddp', 'i8mm'];
    return telling.filter((flag) => flags.includes(flag));
  } catch {
    return [];
  }
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number above 0.');
  return value;
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  console.error(`slipway bench: ${error.message}`);
  process.exitCode = 2;
}
