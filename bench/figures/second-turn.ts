/**
 * What the second turn of a conversation gains from the first: its time to the first token beside that of the same conversation which
 * nobody has begun before, in turns.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Version } from '../field.ts';
import { startHttpService } from '../http-service.ts';
import { median, round3 } from '../rounds.ts';
import { tokenizerOf } from '../version.ts';
import type { Prompts } from './speed.ts';

/** Of the first message; both answers and the second message are short. */
const FIRST_MESSAGES = [128, 512, 1024];
const SECOND_MESSAGE = 24;
const NEW_TOKENS = 48;
const CONTEXT = 1536;
/** Nobody answers at once: meanwhile the engine makes its own answer ready to be gone on with. */
const READING_MILLISECONDS = 1500;

interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface SecondTurn {
  readonly model: string;
  readonly cases: readonly {
    readonly first_message_tokens: number;
    /** Of turn 2, and how many of them turn 1 has left. */
    readonly prompt_tokens: number;
    readonly cached_tokens: number;
    /** Milliseconds to the first token of turn 2; medians of the rounds. */
    readonly after_turn_1: number;
    readonly anew: number;
    readonly ratio: number;
    readonly ratios: readonly number[];
  }[];
}

export async function measureSecondTurn(
  version: Version,
  { make }: Prompts,
  settings: { threads: number; rounds: number },
): Promise<SecondTurn> {
  const tokenizer = await tokenizerOf(version);
  const contextLength = Math.min(CONTEXT, version.manifest.architecture.context_length);
  const service = await startHttpService(version.reference, { threads: settings.threads, requests: 1, contextLength });
  let made = 0;
  // No two begin alike, so that only a conversation's own first turn can help it.
  const say = (tokens: number): Message => {
    const index = made++;
    return { role: 'user', content: `${index}: ${tokenizer.decode(make(tokens, index))}` };
  };
  try {
    await firstTokenOf(service.url, [say(SECOND_MESSAGE)]);
    const cases = [];
    for (const tokens of FIRST_MESSAGES.filter((length) => length < contextLength - 256)) {
      const rounds = [];
      for (let round = 0; round < settings.rounds; round++) {
        const [first, other, second] = [say(tokens), say(tokens), say(SECOND_MESSAGE)];
        const { text } = await firstTokenOf(service.url, [first]);
        await sleep(READING_MILLISECONDS);
        const rest = [{ role: 'assistant' as const, content: text }, second];
        const warm = await firstTokenOf(service.url, [first, ...rest]);
        const cold = await firstTokenOf(service.url, [other, ...rest]);
        rounds.push({ warm, cold });
      }
      const ratios = rounds.map(({ warm, cold }) => warm.milliseconds / cold.milliseconds);
      cases.push({
        first_message_tokens: tokens,
        prompt_tokens: median(rounds.map(({ warm }) => warm.promptTokens)),
        cached_tokens: median(rounds.map(({ warm }) => warm.cachedTokens)),
        after_turn_1: round3(median(rounds.map(({ warm }) => warm.milliseconds))),
        anew: round3(median(rounds.map(({ cold }) => cold.milliseconds))),
        ratio: round3(median(ratios)),
        ratios: ratios.map(round3),
      });
    }
    return { model: version.reference, cases };
  } finally {
    await service.stop();
  }
}

interface Turn {
  readonly milliseconds: number;
  readonly text: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

interface Chunk {
  readonly choices?: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  };
  readonly error?: { readonly message: string };
}

async function firstTokenOf(url: string, messages: readonly Message[]): Promise<Turn> {
  const length = { max_tokens: NEW_TOKENS, min_tokens: NEW_TOKENS };
  const asked = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      messages,
      ...length,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok || !response.body) throw new Error(`${response.status}: ${await response.text()}`);
  let milliseconds = Number.NaN;
  let [rest, text] = ['', ''];
  let usage: Chunk['usage'];
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + part).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events.filter((one) => one !== 'data: [DONE]')) {
      const chunk: Chunk = JSON.parse(event.slice('data: '.length));
      if (chunk.error) throw new Error(chunk.error.message);
      const content = chunk.choices?.[0]?.delta.content ?? '';
      if (content !== '' && text === '') milliseconds = performance.now() - asked;
      text += content;
      usage ??= chunk.usage ?? undefined;
    }
  }
  if (!usage) throw new Error('the stream ended without its usage');
  const { prompt_tokens: promptTokens, prompt_tokens_details: details } = usage;
  return { milliseconds, text, promptTokens, cachedTokens: details.cached_tokens };
}
