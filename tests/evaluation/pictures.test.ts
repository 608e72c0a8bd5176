/**
 * Draws the picture of docs/evaluation.md from a report that `slipway eval` has written. Only when it is asked to:
 *
 *     PICTURES=docs/evaluation REPORT=report.html ./slipway test evaluation/pictures
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { hasChromium, launchChromium } from '../playground/testing/browser.ts';

const { PICTURES = '', REPORT = '' } = process.env;
const MOST_BYTES = 150_000;
const SIZE = { width: 1200, height: 1226 };

describe.skipIf(!hasChromium || PICTURES === '' || REPORT === '')(
  'pictures (need /usr/bin/chromium, PICTURES and REPORT)',
  { timeout: 120_000 },
  () => {
    it('of the report', async () => {
      mkdirSync(PICTURES, { recursive: true });
      const browser = await launchChromium();
      try {
        const page = await browser.newPage({ colorScheme: 'light', viewport: SIZE });
        await page.goto(pathToFileURL(resolve(REPORT)).href);
        const path = join(PICTURES, 'report-light.png');
        await page.screenshot({ path });
        expect(statSync(path).size).toBeLessThan(MOST_BYTES);
      } finally {
        await browser.close();
      }
    });
  },
);
