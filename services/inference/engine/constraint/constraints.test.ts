/** Which thread follows which text, and what becomes of those that share one with a grammar that has to be stopped. */
import { afterEach, expect, it } from 'vitest';
import { Constraints } from './constraints.ts';
import type { Guide } from './guide.ts';
import { idsOf, TOKENS } from './testing/vocabulary.ts';

let constraints = new Constraints(TOKENS);
afterEach(async () => {
  await constraints.end();
  constraints = new Constraints(TOKENS);
});

const SLOW = 'root ::= (([a-z]{0,50}){0,50}){0,50}';

function wordGrammar(word: string) {
  return { ebnf: `root ::= "${word}" root | "."`, limits: [] };
}

async function followed(guide: Guide, text: string): Promise<boolean> {
  for (const id of idsOf(text)) {
    guide.ask([]);
    const [mask] = (await guide.answered) ?? [];
    if ((((mask?.words[id >> 5] ?? 0) >>> (id & 31)) & 1) !== 1) return false;
    guide.accept(id);
  }
  return true;
}

it('texts in one thread with a grammar that is stopped go on in another', { timeout: 300_000 }, async () => {
  const words = ['one', 'two', 'three', 'four', 'five', 'six'];
  const guides = words.map((word) => constraints.open(wordGrammar(word)));
  for (const [index, guide] of guides.entries())
    expect(await followed(guide, `${words[index]}${words[index]}`)).toBe(true);
  expect(new Set(guides.map(({ worker }) => worker)).size).toBe(3);

  const slow = constraints.open({ ebnf: SLOW, limits: [] });
  await slow.opened;
  const shared = slow.worker;
  const neighbours = guides.filter(({ worker }) => worker === shared);
  expect(neighbours.length).toBeGreaterThan(0);
  const stopped = expect(followed(slow, 'abcdefghijkl'.repeat(100))).rejects.toThrow('more than 3 s');
  // They wait for it, and are then followed from where they were.
  for (const [index, guide] of guides.entries()) {
    expect(await followed(guide, words[index] ?? '')).toBe(true);
    expect(await followed(guide, 'x')).toBe(false);
  }
  await stopped;
  expect(neighbours.every(({ worker }) => worker !== shared)).toBe(true);
});

it('a grammar that breaks its thread is tried once more alone, and then refused', async () => {
  const good = constraints.open(wordGrammar('good'));
  await good.opened;
  constraints.close(good);
  const bad = constraints.open({ ebnf: 'root ::= missing', limits: [] });
  await expect(bad.opened).rejects.toThrow('Rule "missing" is not defined');
  // A second text of it, which had to wait, is refused as well.
  const again = [1, 2].map(() => constraints.open({ ebnf: 'root ::= missing', limits: [] }));
  for (const guide of again) await expect(guide.opened).rejects.toThrow('missing');
  const after = constraints.open(wordGrammar('good'));
  expect(await followed(after, 'goodgood')).toBe(true);
});

it('one that needs too much memory is refused', { timeout: 300_000 }, async () => {
  const rules = Array.from(
    { length: 200_000 },
    (_, i) => `r${i} ::= "${i}" r${(i * 7919) % 200_000} | [a-z] r${(i * 104729) % 200_000}`,
  );
  const huge = constraints.open({ ebnf: `root ::= r0\n${rules.join('\n')}`, limits: [] });
  await expect(huge.opened).rejects.toThrow(/more than 192 MiB of memory|more than 3 s/);
});

it('texts of one grammar share its thread; new grammars get one without texts', async () => {
  const first = constraints.open(wordGrammar('one'));
  await first.opened;
  const same = constraints.open(wordGrammar('one'));
  const other = constraints.open(wordGrammar('two'));
  expect(same.worker).toBe(first.worker);
  expect(other.worker).not.toBe(first.worker);
  await other.opened;
  constraints.close(other);
  expect(constraints.open(wordGrammar('three')).worker).not.toBe(first.worker);
});
