/** What a reader of the playground is told when the service asks for a key, is not ready, or is gone, and how it goes on from there. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../service/testing/raw-client.ts';
import { startTestService } from '../service/testing/test-service.ts';
import { hasChromium, launchChromium, openPage } from './testing/browser.ts';
import { answers, ask, finished, shownText } from './testing/conversation.ts';
import { buildPage, startSlipway } from './testing/running-slipway.ts';

const KEY = 'the-key-of-this-test';

describe.skipIf(!hasChromium)('trouble (needs /usr/bin/chromium)', { timeout: 180_000 }, () => {
  let browser: Browser;

  beforeAll(async () => {
    buildPage();
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  it('asks for a key, keeps it for the tab alone, and says when it is wrong', async () => {
    const slipway = await startSlipway(['up', '--port', '0'], { API_KEY: KEY });
    onTestFinished(slipway.stop);
    const page = await openPage(browser, slipway.url, { expected: /status of 401/ });
    await page.getByRole('alert').getByText('The service asks for an API key.').waitFor();
    await page.getByRole('button', { name: 'Enter the key' }).click();
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('not').waitFor();
    await page.getByRole('textbox', { name: 'API key' }).fill(KEY);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await ask(page, 'Once');
    await finished(page, 1);
    await page.reload();
    await ask(page, 'Twice');
    await finished(page, 2);
    expect(await page.evaluate<string>('JSON.stringify(localStorage)')).not.toContain(KEY);
    expect(await page.evaluate<string>('JSON.stringify(sessionStorage)')).toContain(KEY);
  });

  it('says that the service is gone, keeps what was written, and goes on when it is back', async () => {
    const slipway = await startSlipway(['up', '--port', '0']);
    onTestFinished(slipway.stop);
    const page = await openPage(browser, slipway.url, { expected: /ERR_|Failed to fetch/ });
    await ask(page, 'Once');
    await finished(page, 1);
    await slipway.stop();
    await ask(page, 'Twice upon a time');
    await page.getByRole('alert').getByText('The service cannot be reached.').waitFor();
    const again = await startSlipway(['up', '--port', new URL(slipway.url).port]);
    onTestFinished(again.stop);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await finished(page, 2);
    expect(await shownText(answers(page).nth(1))).toMatch(/^Twice upon a time/);
  });

  it('says what a model that is not ready is doing, and looks again', async () => {
    const service = await startTestService({ state: { kind: 'loading', stage: 'fetching weights', progress: 0.4 } });
    onTestFinished(() => service.close());
    const page = await openPage(browser, service.url, { expected: /status of 503/ });
    const alert = page.getByRole('alert');
    await alert.getByText('The service cannot take this right now.').waitFor();
    expect(await shownText(alert)).toContain('fetching weights');
    const looked = page.waitForRequest('**/v1/models');
    await page.getByRole('button', { name: 'Look again' }).click();
    await looked;
  });

  it('says that all places are taken, and tries again', async () => {
    const service = await startTestService({
      slots: 1,
      decodeDelay: 100,
      config: { occupancySemaphore: 1, queueLimit: 0 },
    });
    onTestFinished(() => service.close());
    const page = await openPage(browser, service.url, { expected: /status of 503/ });
    const other = new AbortController();
    const busy = await fetch(`${service.url}/generate`, {
      method: 'POST',
      body: JSON.stringify({ prompt: 'a', max_new_tokens: 500, stream: true, ignore_eos: true }),
      signal: other.signal,
    });
    await ask(page, 'b');
    await page.getByRole('alert').getByText('The service cannot take this right now.').waitFor();
    other.abort();
    await busy.body?.cancel().catch(() => {});
    await eventually(
      async () => Number((await service.get('/health')).body.running),
      (count) => count === 0,
      30_000,
    );
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Stop' }).click();
    await finished(page, 1);
  });
});
