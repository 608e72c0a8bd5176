/**
 * `slipway completion SHELL`: what a shell needs to complete Slipway's commands when Tab is pressed. The scripts ask
 * `slipway completion suggest -- WORDS`; where that has nothing to say the shell offers files.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Command } from 'commander';
import { suggest } from './completion/suggest.ts';

const SCRIPTS = {
  bash: `_slipway() {
  local IFS=$'\\n'
  COMPREPLY=($("$1" completion suggest -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _slipway slipway`,
  zsh: `#compdef slipway
_slipway() {
  local -a found
  found=("\${(@f)$("\${words[1]}" completion suggest -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _slipway slipway`,
  fish: `function __slipway
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] completion suggest -- $words[2..] 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c slipway -f -a '(__slipway)'`,
} as const;

const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

export function register(program: Command): void {
  program
    .command('completion')
    .description('let a shell complete commands and options: bash, zsh or fish')
    .argument('<shell>', SHELLS.join(', '))
    .allowExcessArguments()
    .addHelpText(
      'after',
      `
Put the line of your shell into its start-up file; ./slipway is completed too.
  bash    source <(/path/to/slipway completion bash)          ~/.bashrc
  zsh     source <(/path/to/slipway completion zsh)           ~/.zshrc, behind compinit
  fish    /path/to/slipway completion fish | source           ~/.config/fish/config.fish`,
    )
    .action(async (shell: string, _options: unknown, { args }: Command) => {
      if (shell === 'suggest') {
        for (const word of await suggest(program, args.slice(1))) console.log(word);
        return;
      }
      const known = SHELLS.find((name) => name === shell);
      if (known === undefined) {
        throw new AppError('invalid_field', `there is no completion for ${shell}; there is for ${SHELLS.join(', ')}`);
      }
      console.log(SCRIPTS[known]);
    });
}
