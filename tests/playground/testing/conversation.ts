/**
 * What a reader of the playground does and sees, in a browser's terms.
 */
import type { Locator, Page } from 'playwright-core';

export function composer(page: Page): Locator {
  return page.getByRole('textbox', { name: /^(Message|Beginning of a text)$/ });
}

/** In the order of the page: turn by turn, lane by lane. */
export function answers(page: Page): Locator {
  return page.getByRole('region', { name: /^Answer of / });
}

/** What the model has said, without what stands around it. */
export function answerText(answer: Locator): Promise<string> {
  return shownText(answer.locator('.answer-text'));
}

/** As it is laid out, line breaks included. */
export function shownText(shown: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: what is hidden, and how it is laid out, is the matter here.
  return shown.innerText();
}

/** As soon as the page knows its models: what is sent before stays where it was written. */
export async function ask(page: Page, prompt: string): Promise<void> {
  await composer(page).fill(prompt);
  await page.getByRole('button', { name: 'Send', disabled: false }).waitFor();
  await composer(page).press('Enter');
}

/** Resolves when so many answers are there and none is being written. */
export async function finished(page: Page, count: number): Promise<void> {
  await answers(page)
    .nth(count - 1)
    .and(page.locator('[aria-busy="false"]'))
    .waitFor();
  await page.getByRole('button', { name: 'Send' }).waitFor();
}

/** By typing. */
export async function setNumber(page: Page, name: string, value: number): Promise<void> {
  await page.getByRole('textbox', { name: `${name}, typed` }).fill(String(value));
}
