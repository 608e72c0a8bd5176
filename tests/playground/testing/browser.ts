/**
 * A real Chromium, as Debian installs it, and pages in it that hold their scripts to their promises: an error in the console, one of the
 * content security policy included, fails the test.
 */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

const CHROMIUM = '/usr/bin/chromium';
export const hasChromium = existsSync(CHROMIUM);

export function launchChromium(): Promise<Browser> {
  // Chromium's own sandbox does not start as root, which is who runs in containers.
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
}

/** `expected`: what the console may say of failures that the test brings about. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions & { readonly expected?: RegExp } = {},
): Promise<Page> {
  const { expected, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...contextOptions });
  context.setDefaultTimeout(40_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const text = `${message.text()} ${message.location().url}`;
    if (message.type() === 'error' && expected?.test(text) !== true) complaints.push(text);
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });
  await page.goto(`${url}/ui`);
  return page;
}
