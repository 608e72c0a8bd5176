/** The report in a real browser: nothing of it is anything but text, nothing is fetched, and its table sorts. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { EvaluatedSample, EvaluatedVersion, Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { renderReport } from '@slipway/trainer/evaluation';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { scratch } from '../converter/testing/bucket-folder.ts';
import { hasChromium, launchChromium } from '../playground/testing/browser.ts';

const HOSTILE = `<script>document.title = 'taken'</script><img src=x onerror="document.title = 'taken'">"'&\u2028</td></table>`;

function version(name: string): EvaluatedVersion {
  const figures = { exact_match: 0.5, token_f1: 0.62, perplexity: 3.21 };
  const lineage = { run: HOSTILE, config: { prompt: HOSTILE } };
  const shape = { precision: 'fp32' as const, parameters: 260_032, bytes: 1_300_000, created_at: null };
  return { name, ...shape, system_fingerprint: 'fp_1', lineage, figures, cut: 1, failed: 0 };
}

function sample(index: number, text: string): EvaluatedSample {
  const outcome = (token_f1: number): EvaluatedSample['outcomes'][number] => ({
    answer: { text, finish_reason: 'length', tokens: 5 + index, milliseconds: 40 + 10 * index },
    scores: { exact_match: Number(token_f1 === 1), token_f1, rouge_l: token_f1, bleu: 10, repetition: 0 },
    likelihood: { nats: 10, tokens: 8, bytes: 30, perplexity: 3.5 },
    error: null,
  });
  const reference = index === 1 ? HOSTILE : 'the wanted answer';
  return {
    place: `data.jsonl:${index}`,
    prompt: `prompt ${index}`,
    reference,
    outcomes: [outcome(index / 10), outcome(1)],
  };
}

const NAMES = [`smol@v002${HOSTILE}`, 'smol@v001'] as const;
const evaluation: Evaluation = {
  schema: 1,
  created_at: '2026-01-31T14:05:07.000Z',
  data: {
    files: [{ name: HOSTILE, bytes: 1, sha256: 'a'.repeat(64) }],
    rejected: { count: 1, first: [{ file: 'data.jsonl', line: 9, reason: HOSTILE }] },
  },
  settings: {
    metrics: ['exact_match', 'token_f1', 'perplexity'],
    limit: null,
    max_new_tokens: 16,
    temperature: 0,
    seed: 1,
    at_once: 4,
  },
  notes: [`Left out: ${HOSTILE}`],
  versions: NAMES.map(version),
  differences: [
    { metric: 'exact_match', difference: 0, low: -0.1, high: 0.1, verdict: 'no_difference' },
    { metric: 'token_f1', difference: 0.062, low: 0.012, high: 0.101, verdict: 'better' },
    { metric: 'perplexity', difference: 0.25, low: 0.1, high: 0.4, verdict: 'worse' },
  ],
  compared: 5,
  regressions: [1],
  improvements: [],
  samples: [
    sample(3, 'the answer'),
    sample(1, HOSTILE),
    sample(2, 'something else'),
    { ...sample(4, ''), prompt: HOSTILE },
    {
      place: HOSTILE,
      prompt: '',
      reference: '',
      outcomes: [0, 1].map(() => ({ answer: null, scores: null, likelihood: null, error: HOSTILE })),
    },
  ],
};
const curve = {
  run: HOSTILE,
  training: [1, 2, 3].map((step) => ({ step, loss: 4 - step })),
  validation: [{ step: 3, loss: 1.5 }],
};

describe.skipIf(!hasChromium)('the report (needs /usr/bin/chromium)', { timeout: 180_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 120_000);
  afterAll(() => browser?.close());

  async function open(colorScheme: 'light' | 'dark' = 'light'): Promise<{ page: Page; asked: string[] }> {
    const file = join(await scratch(), 'report.html');
    await writeFile(file, await renderReport(evaluation, [curve]));
    const context = await browser.newContext({ colorScheme });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on('console', (message) => asked.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => asked.push(`error: ${error}`));
    await page.goto(pathToFileURL(file).href);
    return { page, asked };
  }

  it('shows what models and files say as text, whatever it looks like, and asks nobody for anything', async () => {
    const { page, asked } = await open();
    expect(asked).toEqual([page.url()]);
    expect(await page.title()).toBe(`${NAMES[0]} against ${NAMES[1]}`);
    expect(await page.locator('script').count()).toBe(1);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.locator('figcaption').first().textContent()).toBe(
      `Loss in the training of ${NAMES[0]} and ${NAMES[1]}`,
    );
    const shown = page.locator('#samples tbody tr').filter({ hasText: 'data.jsonl:1' });
    expect(await shown.locator('.text').nth(1).textContent()).toBe(HOSTILE);
    expect(await page.locator('#samples tbody tr').count()).toBe(5);
  });

  it('says in words which differences are to be trusted', async () => {
    const { page } = await open();
    expect(await page.locator('header .note').textContent()).toBe(`Left out: ${HOSTILE}`);
    expect(await page.locator('.lead').textContent()).toBe(
      `${NAMES[0]} is better in token F1, and worse in perplexity than ${NAMES[1]}.`,
    );
    const verdicts = await page.locator('.figures .verdict').allTextContents();
    expect(verdicts).toEqual(['no difference to be seen', 'better', 'worse']);
    expect(await page.locator('.figures tbody tr').nth(1).textContent()).toContain('+1.2 to +10.1');
  });

  it('has the refused and the worst first, and sorts by a click', async () => {
    const { page } = await open();
    const scores = () => page.locator('#samples tbody tr td:nth-last-child(3)').allTextContents();
    expect(await scores()).toEqual(['–', '0.10', '0.20', '0.30', '0.40']);
    await page.locator('#samples th.number button').first().click();
    expect(await scores()).toEqual(['0.40', '0.30', '0.20', '0.10', '–']);
    await page.getByRole('button', { name: 'sample' }).click();
    expect(await scores()).toEqual(['0.30', '0.10', '0.20', '0.40', '–']);
  });

  it('marks the words that were not wanted', async () => {
    const { page } = await open();
    const row = page.locator('#samples tbody tr').filter({ hasText: 'data.jsonl:2' });
    expect((await row.locator('td').nth(3).locator('mark').allTextContents()).join('')).toContain('something');
    const similar = page.locator('#samples tbody tr').filter({ hasText: 'data.jsonl:3' });
    expect(await similar.locator('mark').count()).toBe(0);
  });

  it('is light and dark as its reader has it, and is wide enough for a phone', async () => {
    const colors = [];
    for (const scheme of ['light', 'dark'] as const) {
      const { page } = await open(scheme);
      colors.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await page.setViewportSize({ width: 390, height: 800 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    }
    expect(colors[0]).not.toBe(colors[1]);
  });
});
