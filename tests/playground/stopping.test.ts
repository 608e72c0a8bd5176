/** Stopping in the playground stops the service: a slow synthetic model in the real service, watched from its other side. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../service/testing/raw-client.ts';
import { startTestService, type TestService } from '../service/testing/test-service.ts';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { answers, answerText, ask, finished, shownText } from './testing/conversation.ts';
import { buildPage } from './testing/running-slipway.ts';

describe.skipIf(!hasChromium)('stopping (needs /usr/bin/chromium)', { timeout: 180_000 }, () => {
  let browser: Browser;
  let service: TestService;

  beforeAll(async () => {
    buildPage();
    [browser, service] = await Promise.all([launchChromium(), startTestService({ decodeDelay: 100 })]);
  });
  afterAll(async () => {
    await browser.close();
    await service.close();
  });

  const running = async () => Number((await service.get('/health')).body.running);

  it.each([
    ['by Escape', (page) => page.keyboard.press('Escape')],
    ['by the button', (page) => page.getByRole('button', { name: 'Stop' }).click()],
    ['by beginning anew', (page) => page.getByRole('button', { name: 'New' }).click()],
    ['by closing the page', (page) => page.close()],
  ] satisfies [string, (page: Awaited<ReturnType<typeof openPage>>) => Promise<void>][])('%s', async (way, stop) => {
    const page = await openPage(browser, service.url);
    await ask(page, 'a');
    await eventually(running, (count) => count === 1, 30_000);
    await eventually(
      () => answerText(answers(page)),
      (text) => text.length > 3,
      30_000,
    );
    await stop(page);
    await eventually(running, (count) => count === 0, 30_000);
    expect(service.engine.stats().running).toBe(0);
    if (way === 'by closing the page' || way === 'by beginning anew') return;
    await finished(page, 1);
    expect((await answerText(answers(page))).length).toBeGreaterThan(3);
    expect(await shownText(answers(page))).toContain('stopped');
  });
});
