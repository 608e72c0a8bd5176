/** Completion in the shells themselves, of a launcher that is called by its path. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { newPlace, submitTiny } from '../services/trainer/runs/testing/tiny-run.ts';
import { suggest } from './completion/suggest.ts';

const SLIPWAY = resolve(import.meta.dirname, '..', 'slipway');

/** What each shell runs to list what may follow `words`; as a user's Tab would, without the keyboard. */
const SHELLS = {
  bash: (words: readonly string[]) => `
source <(${SLIPWAY} completion bash)
COMP_WORDS=(${SLIPWAY} ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_slipway ${SLIPWAY}; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (words: readonly string[]) => `
compdef() {}; _files() { print FILES }; compadd() { shift; print -l -- "$@" }
source <(${SLIPWAY} completion zsh)
words=(${SLIPWAY} ${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length + 1}
_slipway`,
  fish: (words: readonly string[]) => `
${SLIPWAY} completion fish | source
complete -C '${SLIPWAY} ${words.join(' ')}'`,
} as const;

describe.each(Object.entries(SHELLS))('completion in %s', (shell, scriptFor) => {
  const missing = spawnSync(shell, ['--version']).status === 0 ? '' : ` (skipped: ${shell} is not installed)`;

  const complete = (words: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    const args = shell === 'fish' ? ['--no-config', '-c'] : ['-c'];
    const env = { ...process.env, ...environment };
    const { stdout, stderr } = spawnSync(shell, [...args, scriptFor(words)], { encoding: 'utf8', env });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((line) => line !== '');
  };

  it.skipIf(missing !== '')(`offers commands, runs, and else files${missing}`, { timeout: 120_000 }, async () => {
    expect(complete(['models', 'p'])).toEqual(['promote', 'pull']);
    const place = newPlace();
    const { id } = await submitTiny(place);
    expect(complete(['runs', 'pause', 'run-'], { DATA_FOLDER: place.dataFolder })).toEqual([id]);
    // Bash looks for files by itself where there is nothing else.
    expect(complete(['train', 'packag'])).toEqual(
      { bash: [], zsh: ['FILES'], fish: ['package.json', 'package-lock.json'] }[shell],
    );
  });
});

it('completes options and what they take', async () => {
  const program = new Command('slipway');
  const train = program.command('train').argument('<file>').option('--follow').option('--name <name>');
  train.addOption(new Option('--kind <kind>').choices(['bpe', 'character']));
  program.command('models').command('list');
  const suggested = (...words: string[]) => suggest(program, words);
  expect(await suggested('')).toEqual(['train', 'models', 'help']);
  expect(await suggested('train', '--')).toEqual(['--follow', '--name', '--kind', '--help']);
  expect(await suggested('train', 'a.yaml', '--kind', '')).toEqual(['bpe', 'character']);
  expect(await suggested('train', '--name', '')).toEqual([]);
  expect(await suggested('train', '--name', 'models', '--fo')).toEqual(['--follow']);
  expect(await suggested('train', '')).toEqual([]);
  expect(await suggested('models', 'l')).toEqual(['list']);
  expect(await suggested('help', 'models', 'l')).toEqual(['list']);
});
