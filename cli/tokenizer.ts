/**
 * `slipway tokenizer ...`: looking at tokenizers. Knows the commands' names and options; each one's file does the rest.
 */
import type { Command } from 'commander';

export function register(program: Command): void {
  const tokenizer = program
    .command('tokenizer')
    .description('see what a tokenizer is, and how it cuts text')
    .addHelpText(
      'after',
      `
Examples:
  slipway tokenizer show ./tokenizer --text "How is this cut?"
  slipway tokenizer show smol --text "... and this, by a published version?"`,
    );

  tokenizer
    .command('show')
    .description('what a tokenizer is, its statistics, and how it cuts a text')
    .argument('<place>', 'a folder with a tokenizer.json, or a version: NAME, NAME@v001')
    .option('--text <text>', 'show the tokens of this text')
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket)')
    .option('--json', 'print the outcome as JSON: the last line of stdout')
    .action(async (place, options) => (await import('./tokenizer/show.ts')).show(place, options));
}
