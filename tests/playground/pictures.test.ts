/**
 * Draws the pictures of the playground that the documentation shows: a real conversation with real models, light and dark. Where the models
 * come from is said in docs/benchmarks.md. Only when it is asked to:
 *
 *     PICTURES=docs/playground BUCKET_URL=bucket ./slipway test playground/pictures
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { answers, ask, finished, setNumber } from './testing/conversation.ts';
import { buildPage, type RunningSlipway, startSlipway } from './testing/running-slipway.ts';

const { PICTURES, BUCKET_URL } = process.env;
const MODELS = ['smol-int8', 'smol-int4'] as const;
const MOST_BYTES = 150_000;
const SIZE = { width: 1200, height: 660 };
/** Above the window's lower edge, where the tooltip has room. */
const POINTED_AT = 12;

describe.skipIf(!hasChromium || !PICTURES)(
  'pictures (need /usr/bin/chromium and PICTURES)',
  { timeout: 600_000 },
  () => {
    let browser: Browser;
    let slipway: RunningSlipway;

    beforeAll(async () => {
      buildPage();
      mkdirSync(PICTURES ?? '', { recursive: true });
      const serve = ['serve', MODELS[0], '--bucket', BUCKET_URL ?? 'bucket', '--port', '0'];
      [browser, slipway] = await Promise.all([launchChromium(), startSlipway(serve)]);
      const loaded = await fetch(`${slipway.url}/models/load`, {
        method: 'POST',
        body: JSON.stringify({ model: MODELS[1] }),
      });
      expect(loaded.status).toBe(200);
    }, 240_000);
    afterAll(async () => {
      await browser?.close();
      await slipway?.stop();
    });

    /** A busy machine takes its time. */
    async function open(colorScheme: 'light' | 'dark', newTokens: number): Promise<Page> {
      const page = await openPage(browser, slipway.url, { colorScheme, viewport: SIZE });
      page.setDefaultTimeout(240_000);
      await setNumber(page, 'Temperature', 0);
      await setNumber(page, 'Max tokens', newTokens);
      // Who types into a setting scrolls to it.
      await page.evaluate("document.querySelector('#settings').scrollTo(0, 0)");
      return page;
    }

    async function draw(page: Page, name: string): Promise<void> {
      const path = join(PICTURES ?? '', `${name}.png`);
      await page.screenshot({ path, animations: 'disabled' });
      expect(statSync(path).size).toBeLessThan(MOST_BYTES);
    }

    describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
      it('a chat, with what else a token could have been', async () => {
        const page = await open(colorScheme, 60);
        await ask(page, 'Why is the sea salty?');
        await finished(page, 1);
        await ask(page, 'And why are lakes not?');
        await finished(page, 2);
        await page.getByRole('button', { name: 'Probabilities' }).click();
        await answers(page).nth(1).locator('.token').nth(POINTED_AT).hover();
        await page.getByRole('tooltip').waitFor();
        await draw(page, `probabilities-${colorScheme}`);
      });

      it('two models side by side', async () => {
        const page = await open(colorScheme, 80);
        await page.getByRole('button', { name: 'Compare' }).click();
        await page.getByRole('combobox', { name: 'Model 2' }).selectOption(MODELS[1]);
        await ask(page, 'What is a lighthouse for?');
        await finished(page, 2);
        await draw(page, `side-by-side-${colorScheme}`);
      });
    });
  },
);
