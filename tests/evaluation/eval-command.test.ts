/** `slipway eval` as a user runs it, with a service of its own and stories260K. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { describe, expect, it } from 'vitest';
import { scratch } from '../converter/testing/bucket-folder.ts';
import { slipway } from '../converter/testing/slipway.ts';

const BUCKET = join(import.meta.dirname, '../fixtures/stories260K');
const STORIES = join(import.meta.dirname, 'fixtures/stories.jsonl');

const evaluate = (...args: string[]) =>
  slipway([
    'eval',
    'stories260K',
    '--bucket',
    BUCKET,
    '--data',
    STORIES,
    '--metrics',
    'perplexity,bits_per_byte',
    ...args,
  ]);

describe('slipway eval', { timeout: 300_000 }, () => {
  it('tells figures, and writes a report of its own that has them too', async () => {
    const report = join(await scratch(), 'report.html');
    const { code, stdout, errors } = await evaluate('--against', 'stories260K@v001', '--out', report);
    expect([code, errors.filter((line) => !line.endsWith(' ...'))]).toEqual([0, []]);
    expect(stdout).toMatch(/perplexity +(\d+\.\d+) +\1 +0 +0 to 0 +no difference to be seen/);
    const page = await readFile(report, 'utf8');
    const [, perplexity = 'none'] = /perplexity +(\d+\.\d+)/.exec(stdout) ?? [];
    expect(page).toContain(`>${perplexity}</td>`);
    expect(page).toContain('<title>stories260K@v001 against stories260K@v001</title>');
  });

  it('tells programs all of it, of as many samples as are wanted', async () => {
    const { code, stdout } = await evaluate('--json', '--limit', '5');
    expect(code).toBe(0);
    const found = Evaluation.parse(JSON.parse(stdout));
    expect(found.samples.map(({ place }) => place)).toEqual([1, 2, 3, 4, 5].map((line) => `stories.jsonl:${line}`));
    expect(found.versions).toMatchObject([{ name: 'stories260K@v001', precision: 'fp32', failed: 0 }]);
    // A model of children's stories knows how they go on.
    expect(found.versions[0]?.figures.perplexity).toBeGreaterThan(1);
    expect(found.versions[0]?.figures.perplexity).toBeLessThan(6);
  });

  it('says what it leaves out: of a text, which asks nothing, and of lines that are nothing', async () => {
    const folder = await scratch();
    await writeFile(join(folder, 'story.txt'), 'Once upon a time there was a girl.\n');
    await writeFile(join(folder, 'odd.jsonl'), '{"odd": 1}\n{"odd": 2}\n');
    const { code, stdout } = await slipway(['eval', 'stories260K', '--bucket', BUCKET, '--data', folder]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^perplexity +\d/m);
    expect(stdout).toContain('The data is plain text, which asks nothing: exact_match,');
    expect(stdout).toContain('2 lines are left out, the first odd.jsonl:1: of no known format');
  });

  it.each([
    [['--metrics', 'token_f2'], /did you mean token_f1/],
    [['--against', 'nobody'], /model "nobody" is not in/],
    [['--out', 'nowhere/report.html'], /nowhere is not there/],
    [['--data', 'nowhere.jsonl'], /there is nothing at nowhere\.jsonl/],
  ])('%j is refused, and says what to do', async (args, message) => {
    const { code, stdout, errors } = await evaluate(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(errors.join('\n')).toMatch(message);
  });
});
