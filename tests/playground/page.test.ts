/** The page at /ui in Chromium, from a real service: that it comes up under its content security policy, light, dark, and by keyboard. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { buildPage, type RunningSlipway, startSlipway } from './testing/running-slipway.ts';

describe.skipIf(!hasChromium)('the page (needs /usr/bin/chromium)', { timeout: 180_000 }, () => {
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

  it('is light or dark as the system is, until the reader chooses, and remembers that', async () => {
    const page = await openPage(browser, slipway.url, { colorScheme: 'dark' });
    const paper = () => page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor');
    const dark = await paper();
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await paper();
    expect(light).not.toBe(dark);
    await page.getByText('Dark', { exact: true }).check({ force: true });
    expect(await paper()).toBe(dark);
    await page.reload();
    expect(await paper()).toBe(dark);
    await page.getByRole('radio', { name: 'As the system' }).check({ force: true });
    expect(await paper()).toBe(light);
  });

  it('has landmarks, a name for every control, and a focus that can be seen', async () => {
    const page = await openPage(browser, slipway.url);
    for (const landmark of ['banner', 'main', 'complementary'] as const) {
      await page.getByRole(landmark).waitFor();
    }
    expect(
      await page
        .getByRole('textbox', { name: 'Message' })
        .or(page.getByRole('textbox', { name: 'Beginning' }))
        .count(),
    ).toBe(1);
    const nameless = await page.evaluate<string[]>(
      `[...document.querySelectorAll('button, input, textarea, select')]
        .filter((control) => !control.labels?.length && !control.ariaLabel && control.textContent.trim() === '')
        .map((control) => control.outerHTML)`,
    );
    expect(nameless).toEqual([]);
    await page.keyboard.press('Tab');
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).toBe('solid');
  });

  it('hides its settings and shows them again', async () => {
    const page = await openPage(browser, slipway.url);
    const button = page.getByRole('button', { name: 'Settings' });
    const panel = page.getByRole('complementary', { name: 'Settings' });
    await panel.waitFor();
    await button.focus();
    await page.keyboard.press('Enter');
    await panel.waitFor({ state: 'detached' });
    expect(await button.getAttribute('aria-expanded')).toBe('false');
    await page.keyboard.press('Enter');
    await panel.waitFor();
  });
});
