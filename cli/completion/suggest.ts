/**
 * What may stand where the cursor is: commands, options, the values that an option or argument takes. Nothing where any file may.
 */
import type { Argument, Command, Option } from 'commander';
import { dataFolderOf } from '../runs/data-folder.ts';

/** `words`: all behind the program's name, the last as far as it is written. */
export async function suggest(program: Command, words: readonly string[]): Promise<string[]> {
  const written = words.at(-1) ?? '';
  const { command, option, given } = placeOf(program, words.slice(0, -1));
  const all = await candidates(command, written, option, given);
  return all.filter((one) => one.startsWith(written));
}

interface Place {
  readonly command: Command;
  /** The option whose value is next. */
  readonly option: Option | undefined;
  /** How many arguments stand there already. */
  readonly given: number;
}

function placeOf(program: Command, words: readonly string[]): Place {
  let command = program;
  let option: Option | undefined;
  let given = 0;
  for (const word of words[0] === 'help' ? words.slice(1) : words) {
    if (option !== undefined) option = undefined;
    else if (word.startsWith('-')) option = valued(command, word);
    else {
      const next = given === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (next === undefined) given++;
      else command = next;
    }
  }
  return { command, option, given };
}

function valued(command: Command, word: string): Option | undefined {
  return command.options.find((one) => (one.long === word || one.short === word) && (one.required || one.optional));
}

async function candidates(command: Command, written: string, option: Option | undefined, given: number) {
  if (option !== undefined) return option.argChoices ?? [];
  const help = command.createHelp();
  if (written.startsWith('-')) return help.visibleOptions(command).flatMap(({ long }) => long ?? []);
  const names = given === 0 ? help.visibleCommands(command).map((one) => one.name()) : [];
  return [...names, ...(await valuesOf(command.registeredArguments[given] ?? command.registeredArguments.at(-1)))];
}

async function valuesOf(argument: Argument | undefined): Promise<readonly string[]> {
  if (argument?.name() !== 'run') return argument?.argChoices ?? [];
  const { listRuns } = await import('@slipway/trainer/runs');
  return (await listRuns(dataFolderOf())).map(({ id }) => id);
}
