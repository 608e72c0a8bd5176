/**
 * `slipway tokenizer ...`: training and looking at tokenizers. Knows the commands' names and options; each one's file does the rest.
 */
import { TOKENIZER_KINDS } from '@slipway/trainer/tokenizer-statistics';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { wholeNumber } from './number-option.ts';

export function register(program: Command): void {
  const tokenizer = program
    .command('tokenizer')
    .description('train a tokenizer, or see how one cuts text')
    .addHelpText(
      'after',
      `
Examples:
  slipway tokenizer train corpus/*.txt --kind bpe --vocabulary-size 2048 --out ./tokenizer
  slipway tokenizer show ./tokenizer --text "How is this cut?"
  slipway tokenizer show smol --text "... and this, by a published version?"`,
    );

  tokenizer
    .command('train')
    .description('learn a tokenizer from text files')
    .argument('<files...>', 'text in UTF-8; or data as a recipe takes it, of which what it says is learnt')
    .addOption(new Option('--kind <kind>', 'what it is made of').choices(TOKENIZER_KINDS).default('bpe'))
    .option('--vocabulary-size <number>', 'tokens; needed, but for characters', wholeNumber(1, 1_000_000))
    .requiredOption('--out <folder>', 'where its folder is to be; nothing may be there')
    .option(
      '--holdout <share>',
      'share of the text that is measured on instead of learnt from (default: 0.05, and 0 for characters)',
      share,
    )
    .option('--bos <token>', 'put this token in front of every text')
    .option('--eos <token>', 'the token that ends a text (default: <|endoftext|> of bpe, </s> of SentencePiece)')
    .option('--pad <token>', 'a token that fills up')
    .option('--chat', 'tokens and a template for conversations (ChatML)')
    .option('--special-token <token...>', 'further tokens that text never becomes')
    .option('--seed <number>', 'which part of the text is held out', wholeNumber(0, 2 ** 31 - 1), 1)
    .option('--json', 'print the statistics as JSON: the last line of stdout')
    .addHelpText(
      'after',
      `
Kinds: bpe is byte-level BPE, as GPT-2, Llama 3 and Qwen have it; sentencepiece-bpe as Llama 2 and Gemma; sentencepiece-unigram;
character, one token per character, for a Char-LSTM. The same files, seed and options give the same tokenizer.`,
    )
    .action(async (files, options) => (await import('./tokenizer/train.ts')).train(files, options));

  tokenizer
    .command('show')
    .description('what a tokenizer is, its statistics, and how it cuts a text')
    .argument('<place>', 'a folder with a tokenizer.json, or a version: NAME, NAME@v001')
    .option('--text <text>', 'show the tokens of this text')
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket)')
    .option('--json', 'print the outcome as JSON: the last line of stdout')
    .action(async (place, options) => (await import('./tokenizer/show.ts')).show(place, options));
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value < 1) return value;
  throw new InvalidArgumentError('It must be a share from 0 to less than 1.');
}
