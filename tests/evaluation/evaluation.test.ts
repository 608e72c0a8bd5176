/**
 * Versions evaluated through a service that answers from them: the figures are those of sacrebleu, of rouge-score and of PyTorch over the
 * same answers and tokens.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { evaluate } from '@slipway/trainer/evaluation';
import { findKernelEnvironment } from '@slipway/trainer/kernel-environment';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { perplexityByKernel } from './testing/kernel-perplexity.ts';
import { libraryFigures, pythonMissing, SCORING } from './testing/metrics-python.ts';
import { serveTinyVersions } from './testing/tiny-versions.ts';

const kernel = await findKernelEnvironment(process.env);
const kernelMissing = kernel ? '' : ' (skipped: ./slipway setup trainer has not been run)';

const QUESTIONS = Array.from({ length: 12 }, (_, index) => ({
  question: `What is ${index} and ${index * 7}?`,
  answer: `It is ${index * 8}, as anyone can tell. ${'So it is. '.repeat(index % 4)}`.trim(),
}));

let tiny: Awaited<ReturnType<typeof serveTinyVersions>>;
let questions: string;
beforeAll(async () => {
  tiny = await serveTinyVersions();
  questions = await write('questions.jsonl', QUESTIONS);
}, 300_000);
afterAll(() => tiny?.stop());

async function write(name: string, records: readonly object[]): Promise<string> {
  const file = join(tiny.folder, name);
  await writeFile(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return file;
}

async function post(path: string, body: object) {
  const response = await fetch(new URL(path, tiny.url), { method: 'POST', body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  // biome-ignore lint/suspicious/noExplicitAny: answers of several shapes, looked into by tests.
  return (await response.json()) as any;
}

describe.skipIf(pythonMissing !== '')(`answers${pythonMissing}`, { timeout: 300_000 }, () => {
  it('are those the service gives, and scored as sacrebleu and rouge-score score them', async () => {
    const found = await evaluate(tiny.request(questions, { scoring: SCORING }));
    expect(Evaluation.parse(found)).toEqual(found);
    const [first] = found.samples;
    const asked = await post('/v1/chat/completions', {
      model: 'tiny@v001',
      messages: [{ role: 'user', content: QUESTIONS[0]?.question }],
      temperature: 0,
      max_completion_tokens: 16,
    });
    expect(first?.outcomes[0]?.answer?.text).toBe(asked.choices[0].message.content);
    const predictions = found.samples.map(({ outcomes }) => outcomes[0]?.answer?.text ?? '');
    expect(new Set(predictions).size).toBeGreaterThan(1);
    const figures = found.versions[0]?.figures ?? {};
    expect(figures).toMatchObject(
      await libraryFigures(
        predictions,
        QUESTIONS.map(({ answer }) => answer),
      ),
    );
    expect(Object.keys(figures).sort()).toEqual([...found.settings.metrics].sort());
    const f1 = found.samples.map(({ outcomes }) => outcomes[0]?.scores?.token_f1 ?? Number.NaN);
    expect(f1.reduce((sum, one) => sum + one, 0) / f1.length).toBeCloseTo(figures.token_f1 ?? Number.NaN, 12);
  });

  it('of one version twice show no difference, of two precisions one that is the difference of their figures', async () => {
    const versions = (other: string) =>
      [
        { name: 'tiny@v001', manifest: null },
        { name: other, manifest: null },
      ] as const;
    const same = await evaluate(tiny.request(questions, { scoring: SCORING, versions: versions('tiny@v001') }));
    for (const { metric, difference, verdict } of same.differences) {
      const isSummed = !metric.startsWith('distinct');
      expect([metric, difference, verdict]).toEqual([metric, 0, isSummed ? 'no_difference' : 'not_tested']);
    }
    expect([same.regressions, same.improvements]).toEqual([[], []]);
    const other = await evaluate(tiny.request(questions, { scoring: SCORING, versions: versions('tiny@v002') }));
    const [ours, theirs] = other.versions;
    expect(other.differences).toHaveLength(9);
    for (const { metric, difference, low, high } of other.differences) {
      expect(difference).toBe((ours?.figures[metric] ?? 0) - (theirs?.figures[metric] ?? 0));
      if (low !== null && high !== null) expect(low).toBeLessThanOrEqual(high);
    }
    expect(ours?.figures.perplexity).not.toBe(theirs?.figures.perplexity);
    expect(ours?.system_fingerprint).not.toBe(theirs?.system_fingerprint);
  });

  it('that were refused are told and left out of the figures of both', async () => {
    const far = { question: 'x'.repeat(300_000), answer: 'No.' };
    const file = await write('far.jsonl', [QUESTIONS[0] ?? {}, far]);
    const found = await evaluate(tiny.request(file, { scoring: SCORING }));
    expect([found.samples.length, found.compared, found.versions[0]?.failed]).toEqual([2, 1, 1]);
    expect(found.samples[1]?.outcomes[0]).toMatchObject({
      answer: null,
      scores: null,
      error: expect.stringMatching(/./),
    });
    await expect(evaluate(tiny.request(await write('only.jsonl', [far]), { scoring: SCORING }))).rejects.toMatchObject({
      code: 'invalid_field',
      message: expect.stringMatching(/^tiny@v001 answers none of the samples: /),
    });
  });
});

describe('a version that is not served', () => {
  it('is asked once, not for every sample', async () => {
    const versions = [{ name: 'nobody@v001', manifest: null }] as const;
    const request = tiny.request(questions, { versions, metrics: ['perplexity'] });
    await expect(evaluate(request)).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(/nobody/),
    });
  });
});

describe('of plain text', { timeout: 300_000 }, () => {
  const text = () => write('plain.jsonl', [{ text: 'A text of its own.' }]);

  it('what compares answers is left out, and that is said', async () => {
    const found = await evaluate(tiny.request(await text()));
    expect(found.settings.metrics).toEqual(['perplexity', 'bits_per_byte']);
    expect(Object.keys(found.versions[0]?.figures ?? {})).toEqual(['perplexity', 'bits_per_byte']);
    expect(found.notes).toEqual([expect.stringMatching(/plain text.* exact_match, .*repetition .*were left out/)]);
  });

  it('what compares answers is refused where it was named, with what to give', async () => {
    const request = tiny.request(await text(), { metrics: ['bleu', 'perplexity'] });
    await expect(evaluate(request)).rejects.toMatchObject({
      code: 'invalid_field',
      message: expect.stringMatching(/^bleu: .*plain text.*questions with their answers.*perplexity and bits_per_byte/),
    });
  });
});

describe('perplexity', { timeout: 300_000 }, () => {
  const metrics = ['perplexity', 'bits_per_byte'] as const;

  it('counts the tokens of the wanted answers, and nothing else', async () => {
    const found = await evaluate(tiny.request(questions, { metrics }));
    for (const [index, { outcomes }] of found.samples.entries()) {
      const { ids, given } = await conversationIds(index);
      expect(outcomes[0]?.answer).toBeNull();
      expect(outcomes[0]?.likelihood?.tokens).toBe(ids.length - given);
    }
  });

  it.skipIf(!kernel)(`of conversations and texts is that of PyTorch${kernelMissing}`, async () => {
    const conversations = await evaluate(tiny.request(questions, { metrics }));
    const examples = await Promise.all(QUESTIONS.map((_, index) => conversationIds(index)));
    const byKernel = await perplexityByKernel(tiny.source, examples, kernel?.python ?? '');
    expect(relative(conversations.versions[0]?.figures.perplexity, byKernel)).toBeLessThan(1e-3);

    const texts = ['A text of its own.', 'Another one: not as long, but odd. ÄÖÜ'];
    const file = await write(
      'texts.jsonl',
      texts.map((text) => ({ text })),
    );
    const found = await evaluate(tiny.request(file, { metrics }));
    const encoded = [];
    for (const prompt of texts) encoded.push({ ids: (await post('/tokenize', { prompt })).tokens, given: 0 });
    const wanted = await perplexityByKernel(tiny.source, encoded, kernel?.python ?? '');
    expect(relative(found.versions[0]?.figures.perplexity, wanted)).toBeLessThan(1e-3);
  });
});

/** A question with its answer, and where in it the tokens begin that say the answer. */
async function conversationIds(index: number): Promise<{ ids: number[]; given: number }> {
  const { question = '', answer = '' } = QUESTIONS[index] ?? {};
  const messages = [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ];
  const { tokens: ids } = await post('/tokenize', { messages, continue_final_message: true });
  for (let given = ids.length; given >= 0; given--) {
    const { prompt } = await post('/detokenize', { tokens: ids.slice(given) });
    if (prompt.trim() === answer) return { ids, given };
  }
  throw new Error('the answer is not at the end');
}

function relative(value: number | undefined, wanted: number): number {
  return Math.abs((value ?? Number.NaN) - wanted) / wanted;
}
