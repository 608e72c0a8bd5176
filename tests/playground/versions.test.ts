/** Two versions of one model side by side, one of them loaded from the page, in the real service over a bucket of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { NAME, publishVariant } from '../service/testing/versions-bucket.ts';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { answers, answerText, ask, finished, setNumber } from './testing/conversation.ts';
import { buildPage, type RunningSlipway, startSlipway } from './testing/running-slipway.ts';

const PROMPT = 'Once upon a time';

describe.skipIf(!hasChromium)('two versions (needs /usr/bin/chromium)', { timeout: 180_000 }, () => {
  let browser: Browser;
  let slipway: RunningSlipway;
  const folder = mkdtempSync(join(tmpdir(), 'slipway-side-by-side-'));

  beforeAll(async () => {
    buildPage();
    const bucket = openFolderBucket(folder);
    await publishVariant(bucket, 1);
    await publishVariant(bucket, 1.3);
    const serve = ['serve', NAME, '--bucket', folder, '--port', '0'];
    [browser, slipway] = await Promise.all([launchChromium(), startSlipway(serve)]);
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await slipway?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function complete(model: string): Promise<string> {
    const response = await fetch(`${slipway.url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ model, prompt: PROMPT, temperature: 0, max_tokens: 80 }),
    });
    const Completion = z.object({ choices: z.tuple([z.object({ text: z.string() })]) });
    return PROMPT + Completion.parse(await response.json()).choices[0].text;
  }

  it('answer the same prompt at the same time, each in its own words', async () => {
    const page = await openPage(browser, slipway.url);
    await setNumber(page, 'Temperature', 0);
    await setNumber(page, 'Max tokens', 80);
    await page.getByRole('button', { name: 'Compare' }).click();
    const [left, right] = ['Model 1', 'Model 2'].map((name) => page.getByRole('combobox', { name }));
    expect(await left?.inputValue()).toBe(NAME);
    expect(await right?.inputValue()).toBe(`${NAME}@v001`);
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await page.getByText('not loaded').waitFor({ state: 'detached' });

    const order: string[] = [];
    page.on('request', (request) => order.push(`asked ${request.postDataJSON()?.model}`));
    page.on('requestfinished', (request) => order.push(`answered ${request.postDataJSON()?.model}`));
    await ask(page, PROMPT);
    await finished(page, 2);
    expect(order.slice(0, 2)).toEqual([`asked ${NAME}`, `asked ${NAME}@v001`]);
    const texts = [await answerText(answers(page).nth(0)), await answerText(answers(page).nth(1))];
    expect(texts).toEqual([await complete(NAME), await complete(`${NAME}@v001`)]);
    expect(texts[0]).not.toBe(texts[1]);
    const boxes = await Promise.all([0, 1].map((index) => answers(page).nth(index).boundingBox()));
    expect(boxes[0]?.y).toBe(boxes[1]?.y);
    expect(boxes[0]?.x).toBeLessThan(boxes[1]?.x ?? 0);

    await page.reload();
    expect([await answerText(answers(page).nth(0)), await answerText(answers(page).nth(1))]).toEqual(texts);
    await page.getByRole('button', { name: 'Close the second lane' }).click();
    expect(await answers(page).count()).toBe(1);
    await page.getByRole('combobox', { name: 'Model', exact: true }).selectOption(`${NAME}@v001`);
    await page.getByRole('button', { name: 'Regenerate' }).click();
    await answers(page).getByText(`${NAME}@v001`).waitFor();
    await finished(page, 1);
    expect(await answerText(answers(page))).toBe(texts[1]);
  });
});
