/**
 * `POST /score` through real services: the numbers against logits that PyTorch computed, windows against the same parts scored alone, and
 * what is refused.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type InferenceService, startInferenceService } from '@slipway/inference/serve';
import { loadServiceConfig, type ServiceFlags } from '@slipway/shared/contracts/config.ts';
import type { ScoreAnswer, TextScore, TokenScore } from '@slipway/shared/contracts/score.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type GoldenName, readGolden } from '../../services/converter/testing/golden.ts';
import { slipway } from '../converter/testing/slipway.ts';
import { PYTHON, transformersMissing } from '../converter/testing/transformers.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

const STORIES = path.join(import.meta.dirname, '../fixtures/stories260K');
/** Of PyTorch's numbers. */
const CLOSE = 1e-3;

async function start(flags: ServiceFlags): Promise<InferenceService> {
  const config = await loadServiceConfig({ flags: { port: 0, host: '127.0.0.1', ...flags }, path: null });
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  const service = await startInferenceService(config, log);
  onTestFinished(() => service.close());
  await service.loaded;
  return service;
}

/** The fixture converted to float32 and served; its address. */
async function serveGolden(name: GoldenName, flags: ServiceFlags = {}): Promise<string> {
  const { source } = await readGolden(name);
  const bucketUrl = await mkdtemp(path.join(tmpdir(), 'slipway-score-'));
  onTestFinished(() => rm(bucketUrl, { recursive: true }));
  const convert = ['convert', source, '--name', 'golden', '--bucket', bucketUrl, '--precision', 'fp32'];
  const { code, errors } = await slipway(convert);
  expect([code, errors]).toEqual([0, []]);
  return (await start({ bucketUrl, model: 'golden', ...flags })).url;
}

async function score(url: string, body: object): Promise<ScoreAnswer> {
  const response = await fetch(`${url}/score`, { method: 'POST', body: JSON.stringify(body) });
  const answer = await response.json();
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return answer as ScoreAnswer;
}

async function firstOf(url: string, body: object): Promise<TextScore & { tokens: readonly TokenScore[] }> {
  const [result] = (await score(url, body)).results;
  if (result === undefined) throw new Error('no result');
  return { ...result, tokens: result.tokens ?? [] };
}

/** ln of the softmax, computed here in float64. */
function logSoftmax(row: Float32Array): number[] {
  const highest = row.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY);
  const sum = row.reduce((total, value) => total + Math.exp(value - highest), 0);
  return Array.from(row, (value) => value - highest - Math.log(sum));
}

describe.each<GoldenName>(['llama-plain', 'gpt2', 'qwen3', 'gemma3', 'char-lstm'])('%s in float32', (name) => {
  it('is as surprised as in PyTorch, token for token', async () => {
    const golden = await readGolden(name);
    const url = await serveGolden(name);
    const { tokens, loss, perplexity, tokens_scored } = await firstOf(url, { text: golden.tokenIds, top_k: 4 });
    expect(tokens.map(({ token_id }) => token_id)).toEqual(golden.tokenIds);
    expect(tokens[0]).toMatchObject({ nats: null, bits: null, top: [] });
    let sum = 0;
    for (const [at, token] of tokens.slice(1).entries()) {
      const logprobs = logSoftmax(golden.logits[at] ?? new Float32Array());
      const nats = -(logprobs[token.token_id] ?? Number.NaN);
      sum += nats;
      expect(Math.abs((token.nats ?? Number.NaN) - nats)).toBeLessThan(CLOSE);
      expect(Math.abs((token.bits ?? Number.NaN) - nats / Math.LN2)).toBeLessThan(CLOSE * 1.5);
      const best = logprobs.sort((a, b) => b - a);
      expect(token.top).toHaveLength(4);
      token.top?.forEach(({ logprob }, rank) => {
        expect(Math.abs(logprob - (best[rank] ?? Number.NaN))).toBeLessThan(CLOSE);
      });
    }
    const expected = sum / (golden.tokenIds.length - 1);
    expect(tokens_scored).toBe(golden.tokenIds.length - 1);
    expect(Math.abs((loss ?? Number.NaN) - expected)).toBeLessThan(CLOSE);
    expect(Math.abs((perplexity ?? Number.NaN) / Math.exp(expected) - 1)).toBeLessThan(CLOSE);
  });
});

/** The sliding window over a text as transformers' guide to perplexity has it, written down anew; -ln p of each token but the first. */
const SLIDING_WINDOW = `
import json, sys, torch, transformers
transformers.logging.set_verbosity_error()
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
folder, text, length, stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
ids = torch.tensor([Tokenizer.from_file(folder + "/tokenizer.json").encode(text).ids])
nats, done = [], 1
for begin in range(0, ids.shape[1], stride):
    end = min(begin + length, ids.shape[1])
    with torch.no_grad():
        logprobs = model(ids[:, begin:end]).logits[0].log_softmax(-1)
    nats += [-logprobs[at - 1 - begin, ids[0, at]].item() for at in range(done, end)]
    done = end
    if end == ids.shape[1]: break
print(json.dumps({"ids": ids[0].tolist(), "nats": nats}))
`;

describe.skipIf(transformersMissing !== '')(`beside transformers${transformersMissing}`, () => {
  it.each(['llama-plain', 'qwen3', 'gpt2'] as const)(
    '%s is as surprised by a long text, window by window',
    async (name) => {
      const { source } = await readGolden(name);
      const url = await serveGolden(name, { maxPromptTokens: 40 });
      const text =
        'The Cafe\u0301 opened at 7:45. "Na\u00efve?" she said \u2014 \u2602 and left; the dog slept.\n'.repeat(4);
      const result = await firstOf(url, { text, stride: 12 });
      const { stdout } = await promisify(execFile)(PYTHON, ['-c', SLIDING_WINDOW, source, text, '40', '12'], {
        env: { ...process.env, HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: '1' },
      });
      const torch = JSON.parse(stdout) as { ids: number[]; nats: number[] };
      // Either both begin with BOS, which is not listed here, or neither; then the first token has nothing before it.
      const listed = result.tokens.flatMap(({ nats }) => (nats === null ? [] : [nats]));
      expect(torch.ids.slice(-result.tokens.length)).toEqual(result.tokens.map(({ token_id }) => token_id));
      expect(listed).toHaveLength(torch.nats.length);
      listed.forEach((nats, at) => {
        expect(Math.abs(nats - (torch.nats[at] ?? Number.NaN))).toBeLessThan(CLOSE);
      });
      const loss = torch.nats.reduce((sum, nats) => sum + nats, 0) / torch.nats.length;
      expect(Math.abs((result.loss ?? Number.NaN) - loss)).toBeLessThan(CLOSE);
    },
    // Importing torch is slow where others compute.
    300_000,
  );
});

describe('stories260K', () => {
  const TEXT = ' Once upon a time, there was a little girl named Lily. Café ☂!';

  it('places every token in the bytes of the text, and scores the first one after BOS', async () => {
    const { url } = await start({ bucketUrl: STORIES });
    for (const text of [TEXT, TEXT.trim()]) {
      const { tokens, nats, bytes_scored, characters_scored } = await firstOf(url, { text });
      const bytes = Buffer.from(text);
      let end = 0;
      for (const token of tokens) {
        expect(token.start).toBe(end);
        end = token.end ?? Number.NaN;
        expect(token.nats).toBeGreaterThan(0);
      }
      expect([end, bytes_scored, characters_scored]).toEqual([bytes.length, bytes.length, [...text].length]);
      const [from, to] = [bytes.indexOf('Lily'), bytes.indexOf('.')];
      const lily = tokens.filter(({ start, end }) => (end ?? 0) > from && (start ?? 0) < to);
      expect(lily.map(({ start, end }) => bytes.toString('utf8', start ?? 0, end ?? 0)).join('')).toBe(' Lily');
      const [result] = (await score(url, { text, per: 'character' })).results;
      expect(result?.characters?.map(({ character }) => character).join('')).toBe(text);
      const sum = result?.characters?.reduce((total, character) => total + (character.nats ?? Number.NaN), 0);
      expect(sum).toBeCloseTo(nats, 8);
    }
  });

  it('scores a completion after its prompt, and a text in its parts', async () => {
    const { url } = await start({ bucketUrl: STORIES });
    const [prompt, completion] = ['Once upon a time', ', there was a little girl'];
    const whole = await firstOf(url, { text: prompt + completion });
    const part = await firstOf(url, { prompt, completion });
    const expected = whole.tokens.filter(({ end }) => (end ?? 0) > prompt.length);
    expect(part.tokens).toEqual(expected);
    expect(part.tokens_scored).toBe(expected.length);
    expect(part.nats).toBeCloseTo(
      expected.reduce((sum, { nats }) => sum + (nats ?? 0), 0),
      8,
    );
    const likely = await firstOf(url, { prompt, completion });
    const unlikely = await firstOf(url, { prompt, completion: ' xylophone quantum' });
    expect(unlikely.loss ?? 0).toBeGreaterThan((likely.loss ?? 0) + 1);
  });

  it('moves a window over a long text, each part scored as if it stood alone', async () => {
    const { url } = await start({ bucketUrl: STORIES, maxPromptTokens: 16 });
    const long = `${TEXT} The cat sat on the mat and looked at the big red ball. `.repeat(2);
    const { results, window } = await score(url, { text: long, stride: 5 });
    const ids = (results[0]?.tokens ?? []).map(({ token_id }) => token_id);
    expect(window).toEqual({ length: 16, stride: 5, count: Math.ceil((ids.length + 1 - 16) / 5) + 1 });
    const all = [1, ...ids];
    const expected: (number | null)[] = [];
    for (let start = 0; expected.length < ids.length; start += 5) {
      const alone = await firstOf(url, { text: all.slice(start, start + 16) });
      expected.push(...alone.tokens.slice(expected.length + 1 - start).map(({ nats }) => nats));
    }
    results[0]?.tokens?.forEach(({ nats }, at) => {
      expect(nats).toBeCloseTo(expected[at] ?? Number.NaN, 5);
    });
  });

  it('adds up texts by their tokens, with or without the lists', async () => {
    const { url } = await start({ bucketUrl: STORIES });
    const texts = ['Once upon a time', 'The dog', [300, 301, 302]];
    const { results, total } = await score(url, { texts });
    const sums = await score(url, { texts, aggregate: true });
    expect(sums.total).toEqual(total);
    expect(sums.results).toEqual(results.map(({ tokens: _tokens, ...rest }) => rest));
    const nats = results.reduce((sum, result) => sum + result.nats, 0);
    const count = results.reduce((sum, result) => sum + result.tokens_scored, 0);
    expect(total).toMatchObject({ tokens_scored: count, loss: nats / count, perplexity: Math.exp(nats / count) });
  });
});

describe('what is asked wrongly', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startTestService({ contextLength: 64 });
  });
  afterAll(() => service.close());

  it.each([
    [{}, /give one of text, texts, and prompt with completion/],
    [{ text: 'a', texts: ['b'] }, /give one of/],
    [{ text: 'a', prompt: 'b' }, /prompt needs a completion/],
    [{ text: '' }, /text must be a text or an array of token ids/],
    [{ texts: [] }, /texts must be an array of 1 to 256/],
    [{ texts: ['a', 5] }, /texts must be/],
    [{ text: [1, 258] }, /text\[1\] must be a token id from 0 to 257, but is 258/],
    [{ texts: ['a', [999]] }, /texts\[1\]\[0\] must be a token id/],
    [{ text: 'a', top_k: 21 }, /top_k must be an integer from 0 to 20/],
    [{ text: 'a', top_k: 1, per: 'character' }, /top_k is told per token/],
    [{ text: 'a', per: 'word' }, /per must be "token" or "character", but is "word"/],
    [{ text: 'a', stride: 64 }, /stride must be below the window, which has 63 tokens here, but is 64/],
    [{ text: 'a'.repeat(65_537) }, /have 65537 characters \(or ids\), and may have 65536/],
    [{ text: 'a'.repeat(10_000), top_k: 20 }, /would have 210000 entries, and may have 200000/],
    [{ txt: 'a' }, /did you mean text\?/],
  ] as const)('%#: is refused in words', async (body, message) => {
    const response = await fetch(`${service.url}/score`, { method: 'POST', body: JSON.stringify(body) });
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect([response.status, error.code]).toEqual([422, 'invalid_field']);
    expect(error.message).toMatch(message);
  });

  it('a model that is not there is a 404, and too little time a 504', async () => {
    const post = async (url: string, body: object) => {
      const response = await fetch(`${url}/score`, { method: 'POST', body: JSON.stringify(body) });
      return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
    };
    expect(await post(service.url, { text: 'abc', model: 'other' })).toEqual([404, 'not_found']);
    const slow = await startTestService({ prefillDelay: 20, contextLength: 64, config: { timeoutSeconds: 1 } });
    onTestFinished(() => slow.close());
    expect(await post(slow.url, { text: 'abc'.repeat(300) })).toEqual([504, 'timeout']);
  });

  it('lone surrogates and odd characters are scored like the text they make', async () => {
    const answer = await score(service.url, { text: 'a\ud800b\u0000\u{1f600}' });
    const [{ tokens = [], bytes_scored } = { bytes_scored: 0 }] = answer.results;
    expect(tokens.map(({ token_id }) => token_id)).toEqual([...Buffer.from('a\ufffdb\u0000\u{1f600}')]);
    expect(bytes_scored).toBe(tokens.length - 1);
    expect(answer.results[0]?.index).toBe(0);
  });
});
