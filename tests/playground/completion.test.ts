/** The playground with the bundled model, which has no chat template: it goes on with a text. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { answers, answerText, ask, composer, finished, setNumber, shownText } from './testing/conversation.ts';
import { buildPage, type RunningSlipway, startSlipway } from './testing/running-slipway.ts';

const PROMPT = 'Once upon a time';

describe.skipIf(!hasChromium)(
  'a text that a model goes on with (needs /usr/bin/chromium)',
  { timeout: 180_000 },
  () => {
    let browser: Browser;
    let slipway: RunningSlipway;

    beforeAll(async () => {
      buildPage();
      [browser, slipway] = await Promise.all([launchChromium(), startSlipway(['up', '--port', '0'])]);
    });
    afterAll(async () => {
      await browser.close();
      await slipway.stop();
    });

    /** What the service says without the page. */
    async function complete(fields: object): Promise<string> {
      const response = await fetch(`${slipway.url}/v1/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: 'shakespeare-gpt2', prompt: PROMPT, ...fields }),
      });
      const Completion = z.object({ choices: z.tuple([z.object({ text: z.string() })]) });
      return Completion.parse(await response.json()).choices[0].text;
    }

    async function openGreedy(): Promise<Page> {
      const page = await openPage(browser, slipway.url);
      await setNumber(page, 'Temperature', 0);
      await setNumber(page, 'Max tokens', 60);
      return page;
    }

    it('is what the service says, with its speed beside it', async () => {
      const page = await openGreedy();
      await ask(page, PROMPT);
      await finished(page, 1);
      expect(await answerText(answers(page))).toBe(PROMPT + (await complete({ temperature: 0, max_tokens: 60 })));
      const facts = await shownText(answers(page).locator('footer'));
      expect(facts).toMatch(
        /shakespeare-gpt2\s+60 tokens\s+[\d.]+ tokens\/s\s+first after [\d.]+ m?s\s+cut at its length/,
      );
      expect(await slipway.running()).toBe(0);
    });

    it('is there again after a reload, until it is cleared', async () => {
      const page = await openGreedy();
      await ask(page, PROMPT);
      await finished(page, 1);
      const before = await answerText(answers(page));
      await page.reload();
      expect(await answerText(answers(page))).toBe(before);
      expect(await page.getByRole('textbox', { name: 'Max tokens, typed' }).inputValue()).toBe('60');
      await page.getByRole('button', { name: 'New' }).click();
      await page.reload();
      await composer(page).waitFor();
      expect(await answers(page).count()).toBe(0);
    });

    it('is sampled as the settings say', async () => {
      const page = await openPage(browser, slipway.url);
      const settings = { Temperature: 1.3, 'Top p': 0.9, 'Top k': 40, 'Min p': 0.02, 'Repetition penalty': 1.1 };
      for (const [name, value] of Object.entries(settings)) await setNumber(page, name, value);
      await setNumber(page, 'Max tokens', 40);
      await page.getByRole('textbox', { name: 'Seed' }).fill('7');
      await page.getByRole('textbox', { name: 'Stop at' }).fill('\\n\\n\nxyz');
      const request = page.waitForRequest('**/v1/completions');
      await ask(page, PROMPT);
      expect((await request).postDataJSON()).toMatchObject({
        temperature: 1.3,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.02,
        repetition_penalty: 1.1,
        max_tokens: 40,
        seed: 7,
        stop: ['\n\n', 'xyz'],
      });
      await finished(page, 1);
      const first = await answerText(answers(page));
      await page.getByRole('button', { name: 'Regenerate' }).click();
      await finished(page, 1);
      expect(await answerText(answers(page))).toBe(first);
      await page.getByRole('textbox', { name: 'Seed' }).fill('8');
      await page.getByRole('button', { name: 'Regenerate' }).click();
      await finished(page, 1);
      expect(await answerText(answers(page))).not.toBe(first);
    });

    it('ends at a stop text, which is no part of it', async () => {
      const whole = await complete({ temperature: 0, max_tokens: 60 });
      const [stop = ''] = /[a-z]{4,}/.exec(whole) ?? [];
      expect(stop).not.toBe('');
      const page = await openGreedy();
      await page.getByRole('textbox', { name: 'Stop at' }).fill(stop);
      await page.getByRole('button', { name: 'Probabilities' }).click();
      await ask(page, PROMPT);
      await finished(page, 1);
      expect(await answerText(answers(page))).toBe(PROMPT + whole.slice(0, whole.indexOf(stop)));
    });

    it('shows what else a token could have been, to a pointer and to the keyboard', async () => {
      const page = await openGreedy();
      await ask(page, PROMPT);
      await finished(page, 1);
      expect(await page.locator('.token').count()).toBe(0);
      const plain = await answerText(answers(page));
      await page.getByRole('button', { name: 'Probabilities' }).click();
      expect(await page.locator('.token').count()).toBeGreaterThan(50);
      expect(await answerText(answers(page))).toBe(plain);

      const tooltip = page.getByRole('tooltip');
      await page.locator('.token').nth(4).hover();
      const rows = await tooltip.locator('.alternative').allInnerTexts();
      const shares = rows.map((row) => Number(/([\d.]+)%/.exec(row)?.[1]));
      expect(rows.length).toBeGreaterThanOrEqual(5);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(100, 0);
      // Greedy: the most probable one, which is first, was taken.
      const chosen = await shownText(tooltip.locator('[data-chosen="true"] code'));
      expect(chosen.replaceAll('␣', ' ')).toBe(await page.locator('.token').nth(4).textContent());
      expect(rows[0]).toContain(chosen);
      expect(await answerText(answers(page))).toBe(plain);
      await composer(page).hover();
      await tooltip.waitFor({ state: 'detached' });

      await page.locator('.token').nth(0).focus();
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      await tooltip.waitFor();
      expect(await page.locator('.token:focus').getAttribute('data-token')).toBe('2');
      expect(await page.locator('.token:focus').getAttribute('aria-describedby')).toBe(
        await tooltip.getAttribute('id'),
      );
    });

    it('is asked, asked anew and cleared without a pointer', async () => {
      const page = await openGreedy();
      await composer(page).focus();
      await page.keyboard.type('Once upon');
      await page.keyboard.press('Shift+Enter');
      await page.keyboard.type('a time');
      expect(await composer(page).inputValue()).toBe('Once upon\na time');
      await page.keyboard.press('Enter');
      await finished(page, 1);
      expect(await composer(page).inputValue()).toBe('');

      const focused = async () => await page.evaluate<string>('document.activeElement.innerText');
      const reach = async (name: string) => {
        for (let steps = 0; (await focused()) !== name; steps++) {
          expect(steps, `Tab reaches ${name}`).toBeLessThan(60);
          await page.keyboard.press('Shift+Tab');
        }
      };
      await reach('Regenerate');
      const again = page.waitForRequest('**/v1/completions');
      await page.keyboard.press('Enter');
      await again;
      await finished(page, 1);
      await reach('New');
      await page.keyboard.press('Enter');
      await answers(page).waitFor({ state: 'detached' });
      expect(await page.evaluate<string>('document.activeElement.ariaLabel')).toBe('Beginning of a text');
    });
  },
);
