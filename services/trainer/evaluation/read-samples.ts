/**
 * Data files as what a version is asked: the last answer of a conversation or a completion is what is wanted, all before it is the prompt.
 * Texts are cut into pieces that one request may have. Knows no service.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import type { ChatMessage, Tool } from '@slipway/shared/contracts/openai/chat-message.ts';
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { type Conversation, type Example, type Passage, parseExample } from '../data/canonical.ts';
import { openCollection } from '../data/collect/collect-examples.ts';
import { findFiles } from '../data/collect/find-files.ts';
import type { FoundFile } from '../data/collect/found-file.ts';
import { Rejections } from '../data/collect/rejections.ts';

export type Question =
  | {
      readonly kind: 'conversation';
      readonly messages: readonly ChatMessage[];
      readonly tools: readonly Tool[] | undefined;
    }
  | { readonly kind: 'completion'; readonly prompt: string }
  /** Nothing is asked: the reference is scored as it follows what was `before`. */
  | { readonly kind: 'text'; readonly before: string };

export interface Sample {
  /** FILE:LINE */
  readonly place: string;
  readonly question: Question;
  readonly reference: string;
}

export interface SampleSource {
  readonly sources: readonly string[];
  readonly format: DataRecipe['format'];
  readonly columns: DataRecipe['columns'];
  /** Only so many, from the beginning. */
  readonly limit: number | null;
  readonly cacheFolder: string;
  readonly signal: AbortSignal;
}

export interface Samples {
  readonly samples: readonly Sample[];
  readonly data: Evaluation['data'];
}

/** In one request: `before` and the piece together stay below what /score takes. */
const MOST_PIECE_CHARACTERS = 49_152;
/** Of a short text there are still enough pieces for versions to be told apart, and each is long enough to say something. */
const PIECES = 16;
const LEAST_PIECE_CHARACTERS = 2048;
const BEFORE_CHARACTERS = 8192;
const SHOWN_REJECTIONS = 20;

/** AppError not_found, or invalid_source when there is nothing to ask. */
export async function readSamples(source: SampleSource): Promise<Samples> {
  const files = await findFiles(source.sources, source);
  const rejections = new Rejections(null);
  const limit = source.limit ?? Number.POSITIVE_INFINITY;
  const samples: Sample[] = [];
  for (const file of files) {
    if (samples.length >= limit) break;
    await readFile(file, source, limit, samples, rejections);
  }
  if (samples.length === 0) {
    const why = rejections.first[0];
    throw new AppError(
      'invalid_source',
      `${source.sources.join(', ')}: there is nothing to ask${why ? `; ${why.file}, line ${why.line}: ${why.reason}` : ''}`,
    );
  }
  const { count, first } = rejections;
  return {
    samples,
    data: { files: await hashed(files), rejected: { count, first: first.slice(0, SHOWN_REJECTIONS) } },
  };
}

async function readFile(
  file: FoundFile,
  { format, columns, signal }: SampleSource,
  limit: number,
  samples: Sample[],
  rejections: Rejections,
): Promise<void> {
  let before = '';
  const { batches } = await openCollection(file, {
    format,
    columns,
    seed: 0,
    split: 'validation',
    seen: null,
    onRejected: (rejected) => rejections.add(rejected),
    signal,
  });
  for await (const batch of batches) {
    for (const { json, file: name, line } of batch) {
      const place = `${name}:${line}`;
      const example = parseExample(json);
      if ('text' in example) {
        if (example.begins !== false) before = '';
        samples.push(...piecesOf(example, before, place));
        before = (before + example.text).slice(-BEFORE_CHARACTERS);
        continue;
      }
      const sample = sampleOf(example, place);
      if (sample === undefined) rejections.add({ file: name, line, reason: 'it has no answer that is a text' });
      else samples.push(sample);
    }
    if (samples.length >= limit) {
      samples.length = limit;
      return;
    }
  }
}

/** Undefined when no answer in it is a text. */
function sampleOf(example: Exclude<Example, Passage>, place: string): Sample | undefined {
  if ('prompt' in example) {
    return { place, question: { kind: 'completion', prompt: example.prompt }, reference: example.completion };
  }
  const last = lastAnswer(example);
  if (last === undefined) return undefined;
  const messages = example.messages.slice(0, last.index);
  return { place, question: { kind: 'conversation', messages, tools: example.tools }, reference: last.text };
}

function lastAnswer({ messages }: Conversation): { index: number; text: string } | undefined {
  // Nothing can be asked without a message before it.
  for (let index = messages.length - 1; index > 0; index--) {
    const message = messages[index];
    if (message?.role !== 'assistant') continue;
    return message.content == null || message.content.trim() === '' ? undefined : { index, text: message.content };
  }
  return undefined;
}

function piecesOf({ text }: Passage, begun: string, place: string): Sample[] {
  const pieces: Sample[] = [];
  const wanted = Math.ceil(text.length / PIECES);
  const characters = Math.min(MOST_PIECE_CHARACTERS, Math.max(LEAST_PIECE_CHARACTERS, wanted));
  let before = begun;
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + characters);
    // Halves of a character are none.
    if (end < text.length && !text.slice(start, end).isWellFormed()) end--;
    const reference = text.slice(start, end);
    pieces.push({ place, question: { kind: 'text', before: wellFormedTail(before) }, reference });
    before = (before + reference).slice(-BEFORE_CHARACTERS);
    start = end;
  }
  return pieces;
}

function wellFormedTail(text: string): string {
  const tail = text.slice(-BEFORE_CHARACTERS);
  return tail.isWellFormed() ? tail : tail.slice(1);
}

async function hashed(files: readonly FoundFile[]): Promise<Evaluation['data']['files']> {
  const all = [];
  for (const { path, name, bytes } of files) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk);
    all.push({ name, bytes, sha256: hash.digest('hex') });
  }
  return all;
}
