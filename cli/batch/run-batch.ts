/**
 * The batch command's work: a file of requests to a file of answers, gone on with where an earlier run stopped. Knows nothing of the terminal
 * and of whose the service is.
 */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  generatedTokens,
  isFailedResult,
  parseJsonLine,
  parseResult,
  resultOfAnswer,
  resultOfProblem,
} from '@slipway/shared/contracts/openai/batch-line.ts';
import { answerLines, type LineAnswer, type LineCounts } from '@slipway/shared/lines/answer-lines.ts';
import { askUntilAnswered } from '@slipway/shared/lines/ask-until-answered.ts';
import { type Line, readLines } from '@slipway/shared/lines/read-lines.ts';
import { type LineScan, scanLines } from '@slipway/shared/lines/scan-lines.ts';
import { messageIn, ServiceClient } from '@slipway/shared/lines/service-client.ts';
import { BatchJournal, type BatchSettings } from './journal.ts';
import { customIdOf, type LineDefaults, requestOfLine } from './line-request.ts';

export interface BatchOptions {
  readonly input: string;
  readonly output: string;
  readonly restart: boolean;
  /** Lines that are asked for at once. */
  readonly atOnce: number;
  readonly defaults: LineDefaults;
  readonly apiKey: string | undefined;
  readonly signal: AbortSignal;
  /** `whole`: how many lines there are. */
  readonly onProgress: (counts: LineCounts, whole: number) => void;
}

export interface BatchSummary {
  readonly lines: number;
  readonly failed: number;
  /** Lines that an earlier run had answered. */
  readonly resumed: number;
  /** That this run generated. */
  readonly tokens: number;
  readonly seconds: number;
}

/** Gives the work a running service, and ends with it. */
export type UseService = <T>(use: (url: string) => Promise<T>) => Promise<T>;

/** The same as a request's body may have here; a service with a lower limit says so itself, line by line. */
const MOST_LINE_BYTES = 8 * 2 ** 20;
/** Of a service that is full, starting or away: about ten minutes. */
const MOST_ATTEMPTS = 125;

/** AppError not_found, already_exists, conflict, invalid_field, disk_full, or what the service says of all requests alike. */
export async function runBatch(options: BatchOptions, withService: UseService): Promise<BatchSummary> {
  const { input, output, restart, defaults } = options;
  requireInput(input, output);
  const journal = new BatchJournal(output);
  try {
    const scan = await scanLines(input, MOST_LINE_BYTES, (line) => {
      options.signal.throwIfAborted();
      return nameOf(line, defaults);
    });
    const settings: BatchSettings = { input_sha256: scan.sha256, ...plain(defaults) };
    if (restart) await journal.restart();
    const begun = journal.begun();
    if (begun !== undefined) requireSame(begun, settings, input, output);
    else journal.begin(settings);
    const isWhole = begun !== undefined && journal.isWhole;
    const summary = isWhole ? await summaryOf(output) : await withService((url) => answer(options, journal, scan, url));
    await journal.finish();
    return summary;
  } finally {
    journal.close();
  }
}

function isFailedAnswer(text: string): boolean | undefined {
  const result = parseResult(text);
  return result === undefined ? undefined : isFailedResult(result);
}

/** Of answers that were complete before this run. */
async function summaryOf(output: string): Promise<BatchSummary> {
  let lines = 0;
  let failed = 0;
  for await (const { content } of readLines(output, { mostBytes: Number.POSITIVE_INFINITY })) {
    lines++;
    if ('text' in content && isFailedAnswer(content.text)) failed++;
  }
  return { lines, failed, resumed: lines, tokens: 0, seconds: 0 };
}

function requireInput(input: string, output: string): void {
  if (!existsSync(input)) throw new AppError('not_found', `${input} does not exist`);
  if (!statSync(input).isFile()) {
    throw new AppError('invalid_field', `${input} is no file; a batch is read twice, and again when it goes on`);
  }
  if (resolve(input) === resolve(output)) {
    throw new AppError('invalid_field', `${output} is the input; name another file for the answers`);
  }
}

function requireSame(begun: BatchSettings, settings: BatchSettings, input: string, output: string): void {
  const changed = Object.keys(settings).filter((name) => settings[name] !== begun[name]);
  if (changed.length === 0) return;
  const what = changed.includes('input_sha256')
    ? `${input} has changed since ${output} was begun`
    : `${output} was begun with ${changed.map((name) => `another ${name}`).join(' and ')}`;
  throw new AppError('conflict', `${what}; --restart begins anew`);
}

function plain({ text, model, maxNewTokens, temperature, seed }: LineDefaults): BatchSettings {
  return {
    text,
    model: model ?? null,
    max_new_tokens: maxNewTokens ?? null,
    temperature: temperature ?? null,
    seed: seed ?? null,
  };
}

function nameOf({ content }: Line, { text: isText }: LineDefaults): string | undefined {
  if (isText || 'problem' in content) return undefined;
  const parsed = parseJsonLine(content.text);
  return 'problem' in parsed ? undefined : (customIdOf(parsed.value) ?? undefined);
}

async function answer(
  options: BatchOptions,
  journal: BatchJournal,
  scan: LineScan,
  url: string,
): Promise<BatchSummary> {
  const client = new ServiceClient(url, options.apiKey, options.atOnce);
  const startedAt = performance.now();
  let resumed: number | undefined;
  try {
    await client.requireService();
    const counts = await answerLines({
      input: options.input,
      answers: journal.partial,
      mostLineBytes: MOST_LINE_BYTES,
      atOnce: options.atOnce,
      recall: isFailedAnswer,
      answer: (line, signal) => answerLine(line, scan, options.defaults, client, signal),
      onProgress(counts) {
        resumed ??= counts.done;
        options.onProgress(counts, scan.lines);
      },
      signal: options.signal,
    });
    const seconds = (performance.now() - startedAt) / 1000;
    return { lines: counts.done, failed: counts.failed, resumed: resumed ?? 0, tokens: counts.tokens, seconds };
  } finally {
    client.close();
  }
}

async function answerLine(
  line: Line,
  scan: LineScan,
  defaults: LineDefaults,
  client: ServiceClient,
  signal: AbortSignal,
): Promise<LineAnswer> {
  const failure = (code: string, message: string, customId: string | null = null): LineAnswer => {
    const result = resultOfProblem(customId, { code, message: `line ${line.number}: ${message}`, line: line.number });
    return { text: JSON.stringify(result), isFailure: true, tokens: 0 };
  };
  if ('problem' in line.content) return failure('invalid_line', `it ${line.content.problem}`);
  const found = requestOfLine(line.content.text, defaults);
  if ('problem' in found) return failure(found.problem.code, found.problem.message, found.customId);
  const { custom_id, url, body } = found.request;
  if (scan.repeated.has(line.index)) {
    return failure('duplicate_custom_id', `an earlier line has the custom_id ${JSON.stringify(custom_id)}`, custom_id);
  }
  if (body.stream === true) return failure('invalid_request', 'a batch does not stream; leave out stream', custom_id);
  const answered = await askUntilAnswered(() => client.ask(url, body, signal), MOST_ATTEMPTS, signal);
  if (answered.status === 429 || answered.status === 503) {
    throw new AppError('overloaded', `${messageIn(answered.body)}; run it again: it goes on from here`);
  }
  const result = resultOfAnswer(custom_id, answered);
  return { text: JSON.stringify(result), isFailure: isFailedResult(result), tokens: generatedTokens(answered.body) };
}
