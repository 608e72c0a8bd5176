/** The playground with a model that has a chat template: SmolLM2, converted here. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { answers, answerText, ask, composer, finished, setNumber } from './testing/conversation.ts';
import { buildPage, type RunningSlipway, startSlipway } from './testing/running-slipway.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SOURCE = resolve(ROOT, '../shared/models/smollm2-135m-instruct/model-q4_1.gguf');
const skip = !hasChromium || !existsSync(SOURCE);

describe.skipIf(skip)('a chat (needs /usr/bin/chromium and ../shared/models)', { timeout: 240_000 }, () => {
  let browser: Browser;
  let slipway: RunningSlipway;
  const bucket = mkdtempSync(join(tmpdir(), 'slipway-chat-'));

  beforeAll(async () => {
    buildPage();
    const args = ['convert', SOURCE, '--name', 'smol', '--precision', 'fp32', '--bucket', bucket];
    const converted = spawnSync(process.execPath, [join(ROOT, 'cli/main.ts'), ...args], { encoding: 'utf8' });
    if (converted.status !== 0) throw new Error(converted.stderr);
    const serve = ['serve', 'smol', '--bucket', bucket, '--port', '0'];
    [browser, slipway] = await Promise.all([launchChromium(), startSlipway(serve)]);
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    await slipway?.stop();
    rmSync(bucket, { recursive: true, force: true });
  });

  it('says what the service says, and goes on from what was said', async () => {
    const page = await openPage(browser, slipway.url);
    await setNumber(page, 'Temperature', 0);
    await setNumber(page, 'Max tokens', 16);
    await page.getByRole('textbox', { name: 'System prompt' }).fill('You are a sailor.');
    const messages = [
      { role: 'system', content: 'You are a sailor.' },
      { role: 'user', content: 'Why is the sea salty?' },
    ];

    const first = page.waitForRequest('**/v1/chat/completions');
    await ask(page, 'Why is the sea salty?');
    expect((await first).postDataJSON()).toMatchObject({ model: 'smol', messages, logprobs: true, top_logprobs: 5 });
    await finished(page, 1);
    const said = await answerText(answers(page));
    const response = await fetch(`${slipway.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'smol', messages, temperature: 0, max_tokens: 16 }),
    });
    const Whole = z.object({ choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]) });
    expect(said).toBe(Whole.parse(await response.json()).choices[0].message.content);

    await page.reload();
    const second = page.waitForRequest('**/v1/chat/completions');
    await ask(page, 'And why are lakes not?');
    expect((await second).postDataJSON().messages).toEqual([
      ...messages,
      { role: 'assistant', content: said },
      { role: 'user', content: 'And why are lakes not?' },
    ]);
    await finished(page, 2);

    await page.getByRole('button', { name: 'Probabilities' }).click();
    await answers(page).nth(1).locator('.token').nth(1).hover();
    expect(await page.getByRole('tooltip').locator('.alternative').count()).toBeGreaterThanOrEqual(5);
  });

  it('can be left for a text to go on with', async () => {
    const page = await openPage(browser, slipway.url);
    await setNumber(page, 'Max tokens', 8);
    await page.getByRole('combobox', { name: 'Mode', exact: true }).selectOption('Continue a text');
    await page.getByRole('textbox', { name: 'Beginning of a text' }).waitFor();
    const request = page.waitForRequest('**/v1/completions');
    await ask(page, 'The harbour was');
    expect((await request).postDataJSON()).toMatchObject({ model: 'smol', prompt: 'The harbour was', logprobs: 5 });
    await finished(page, 1);
    expect(await answerText(answers(page))).toMatch(/^The harbour was./);
    await page.getByRole('combobox', { name: 'Mode', exact: true }).selectOption('Chat');
    expect(await composer(page).getAttribute('aria-label')).toBe('Message');
  });
});
