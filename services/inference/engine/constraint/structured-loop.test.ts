/** Texts of a given form from the engine: the same however they are computed, and ended where the form ends. */
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { describe, expect, it } from 'vitest';
import { openSyntheticLayout, type SyntheticSpec } from '../../runtime/synthetic-layout.ts';
import type { SequenceRequest } from '../contract.ts';
import { createEngine, type EngineOptions } from '../loop.ts';
import { type Collected, collect, GREEDY, makeRequest } from '../testing/collect.ts';
import { constrain, EOS, idsOf, textOf, VOCABULARY } from './testing/vocabulary.ts';

const spec: SyntheticSpec = { kind: 'synthetic', vocabularySize: VOCABULARY, contextLength: 512, slots: 4 };
const PROMPT = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7];

const DIGITS = constrain('root ::= "<" rest\nrest ::= [0-9] rest | ">"');
const PAIRS = constrain(
  'root ::= "{" more\nmore ::= pair more | "}"\npair ::= "\\"" word "\\":" ("true" | [0-9])\nword ::= [a-c] | [a-c] word',
);
/** Ambiguous beyond measure: what may come next takes longer with every letter. */
const SLOW = constrain('root ::= (([a-z]{0,50}){0,50}){0,50}');

function free(more: Partial<SequenceRequest> = {}): SequenceRequest {
  return makeRequest({ prompt: PROMPT, maxNewTokens: 60, eosTokenIds: [EOS], ...more });
}

function asked(more: Partial<SequenceRequest> = {}): SequenceRequest {
  return free({ constraint: DIGITS, ...more });
}

async function runAll(
  requests: readonly SequenceRequest[],
  options: EngineOptions = {},
  of = spec,
): Promise<Collected[]> {
  const engine = createEngine(await openSyntheticLayout(of), options);
  const results = await Promise.all(requests.map((request) => collect(engine, request)));
  expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  await engine.close();
  return results;
}

const drawn = (seed: number) => ({ ...GREEDY, temperature: 2, seed });

describe('a text of a form', () => {
  it('has it whatever is drawn, several at once, each with its own', async () => {
    const requests = Array.from({ length: 40 }, (_, seed) =>
      asked({ sampling: drawn(seed), constraint: seed % 2 === 0 ? DIGITS : PAIRS }),
    );
    const results = await runAll(requests);
    let ended = 0;
    for (const [index, { tokens, reason }] of results.entries()) {
      const text = textOf(tokens);
      if (reason === 'eos') ended++;
      else expect(reason).toBe('length');
      const form = index % 2 === 0 ? /^<\d*(>?)$/ : /^\{("[a-c]+":(true|\d))*(\}?)/;
      expect(text).toMatch(form);
      expect(text.endsWith(index % 2 === 0 ? '>' : '}')).toBe(reason === 'eos');
    }
    expect(ended).toBeGreaterThan(10);
  });

  it('is the same in a batch as alone, and with guesses as without', async () => {
    const repeating = { ...spec, period: 5 };
    const requests = Array.from({ length: 6 }, (_, seed) =>
      asked({
        sampling: seed < 2 ? GREEDY : drawn(seed),
        constraint: seed % 2 === 0 ? DIGITS : PAIRS,
        logprobs: 2,
        maxNewTokens: 200,
      }),
    );
    const together = await runAll(requests, {}, repeating);
    for (const [index, request] of requests.entries()) {
      const [alone] = await runAll([request], { speculate: false }, repeating);
      const [guessed] = await runAll([request], {}, repeating);
      const tokens = (result?: Collected) => result?.events.filter(({ type }) => type !== 'started');
      expect(tokens(together[index])).toEqual(tokens(alone));
      expect(tokens(guessed)).toEqual(tokens(alone));
    }
  });

  it('is guessed where it repeats itself', async () => {
    const engine = createEngine(await openSyntheticLayout(spec));
    const constraint = constrain('root ::= "ab12cd34" root | "!"');
    const { tokens } = await collect(
      engine,
      asked({ constraint, maxNewTokens: 120, sampling: { ...GREEDY, bias: [{ token: 33, bias: -100 }] } }),
    );
    expect(textOf(tokens)).toMatch(/^(ab12cd34){15}$/);
    expect(engine.stats().accepted).toBeGreaterThan(60);
    await engine.close();
  });

  it('has log probabilities of the model, not of the form', async () => {
    const [plain] = await runAll([free({ logprobs: 3, maxNewTokens: 1 })]);
    const [limited] = await runAll([asked({ logprobs: 3, maxNewTokens: 1 })]);
    const [first, other] = [plain, limited].map((result) => result?.events.find((event) => event.type === 'token'));
    expect(other?.logprobs?.top).toEqual(first?.logprobs?.top);
    expect(other?.token).toBe('<'.charCodeAt(0));
  });
});

describe('its end', () => {
  it('comes only where the form is whole, however much the model likes to end', async () => {
    const constraint = constrain('root ::= [0-9] [0-9] [0-9] rest\nrest ::= "" | [0-9] rest');
    const sampling = { ...GREEDY, bias: [{ token: EOS, bias: 100 }] };
    const [result] = await runAll([asked({ constraint, sampling })]);
    expect(result).toMatchObject({ reason: 'eos', error: undefined });
    expect(textOf(result?.tokens ?? [])).toMatch(/^\d{3}$/);
  });

  it('is the form itself when no token ends a text, and the last token when there are no more', async () => {
    const [one] = idsOf('7');
    const constraint = constrain('root ::= "12" "7"');
    const [over, cut, stopped] = await runAll([
      asked({ constraint, eosTokenIds: [] }),
      asked({ constraint: constrain('root ::= "x" "y" "z"'), eosTokenIds: [], maxNewTokens: 2 }),
      asked({ constraint: constrain('root ::= "12" ("7" | "")'), eosTokenIds: [], stopTokenIds: [one ?? 0] }),
    ]);
    expect(over).toMatchObject({ reason: 'stop' });
    expect(textOf(over?.tokens ?? [])).toBe('127');
    expect(cut).toMatchObject({ reason: 'length', tokens: { length: 2 } });
    // A token that ends the text may come where the text may end, and is no part of it.
    expect(stopped).toMatchObject({ reason: 'stop' });
    expect(textOf(stopped?.tokens ?? [])).toBe('12');
  });

  it.each([
    ['a least length', { minNewTokens: 10 }],
    [
      'forbidden words',
      {
        sampling: {
          ...GREEDY,
          sequenceBias: [
            { tokens: idsOf('2'), bias: -Infinity },
            { tokens: [256 + 14], bias: -Infinity },
          ],
        },
      },
    ],
  ])('is a clear refusal where %s forbids all that the form allows', async (_, more) => {
    const [result] = await runAll([asked({ constraint: constrain('root ::= "12"'), ...more })]);
    expect(result).toMatchObject({ reason: 'rejected', error: expect.stringContaining('forbidden by the request') });
  });

  it('is a clear refusal where no token goes on', async () => {
    const tokens = { bytes: new Uint8Array(), ends: new Uint32Array(VOCABULARY) };
    const [result] = await runAll([asked({ constraint: { ...DIGITS, tokens } })]);
    expect(result).toMatchObject({ reason: 'rejected', error: expect.stringContaining('no token of this model') });
  });
});

describe('a grammar that takes too long', () => {
  it('delays nobody, and is refused', { timeout: 300_000 }, async () => {
    const engine = createEngine(await openSyntheticLayout({ ...spec, decodeDelay: 2 }));
    const likesLetters = { ...GREEDY, bias: idsOf('abcdefgh').map((token) => ({ token, bias: 50 })) };
    let isOver = false;
    const slow = collect(engine, asked({ constraint: SLOW, sampling: likesLetters })).finally(() => {
      isOver = true;
    });
    const others = [];
    // They are answered while it is still being followed.
    for (let round = 0; !isOver; round++) {
      const requests = [free({ maxNewTokens: 30, eosTokenIds: [] }), asked({ sampling: drawn(round) })];
      others.push(...(await Promise.all(requests.map((request) => collect(engine, request)))));
    }
    expect(await slow).toMatchObject({ reason: 'rejected', error: expect.stringContaining('more than 3 s') });
    expect(others.length).toBeGreaterThan(5);
    for (const { reason, error } of others)
      expect([reason, error]).toEqual([expect.stringMatching(/^(eos|length)$/), undefined]);
    await engine.close();
  });

  it('is left at once by who cancels, and at its deadline', async () => {
    const engine = createEngine(await openSyntheticLayout(spec));
    const likesLetters = { ...GREEDY, bias: idsOf('abcdefgh').map((token) => ({ token, bias: 50 })) };
    const request = asked({ constraint: SLOW, sampling: likesLetters });
    const late = collect(engine, asked({ constraint: SLOW, sampling: likesLetters, deadline: steadyNow() + 1500 }));
    setTimeout(() => engine.cancel(request.id), 1500);
    expect((await collect(engine, request)).reason).toBe('cancelled');
    expect((await late).reason).toBe('timeout');
    await engine.close();
  });
});

it('a grammar that is none is refused with the reason, and the next one is followed', async () => {
  const engine = createEngine(await openSyntheticLayout(spec));
  const wrong = await collect(engine, asked({ constraint: constrain('root ::= missing') }));
  expect(wrong).toMatchObject({ reason: 'rejected', error: expect.stringContaining('missing') });
  expect((await collect(engine, asked({ sampling: drawn(3) }))).reason).toMatch(/eos|length/);
  await engine.close();
});

it('closing fails who waits for a grammar', async () => {
  const engine = createEngine(await openSyntheticLayout(spec));
  const waiting = collect(engine, asked());
  await engine.close();
  expect(await waiting).toMatchObject({ reason: 'failed', error: 'the engine was closed' });
});
