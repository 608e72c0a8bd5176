/**
 * `slipway batch`: a file of requests is answered into a file, by a running service or by one that this command starts for itself. Turns
 * options into work, and what came of it into words.
 */
import type { Command } from 'commander';
import { type BatchSummary, runBatch, type UseService } from './batch/run-batch.ts';
import { humanSeconds } from './human-units.ts';
import { interruptible } from './interruptible.ts';
import { number, wholeNumber } from './number-option.ts';
import { withOwnService } from './own-service.ts';
import { createProgress } from './progress-bar.ts';

interface BatchFlags {
  readonly model?: string;
  readonly bucket?: string;
  readonly url?: string;
  readonly atOnce: number;
  readonly text?: true;
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly restart?: true;
  readonly allowFailures?: true;
  readonly json?: true;
}

const AT_ONCE = 16;

export function register(program: Command): void {
  program
    .command('batch')
    .description('answer a file of requests, gone on with where it stopped')
    .argument('<input>', 'JSON lines: OpenAI batch lines, {"prompt": ...}, {"messages": ...} or "a prompt"')
    .argument('<output>', 'one answer a line, in the order of the input')
    .option(
      '--model <name>',
      'NAME, NAME@champion or NAME@v001, whatever the lines say; default: the first in the bucket',
    )
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket, else the bundled model)')
    .option('--url <url>', 'ask this running service (its key: API_KEY)')
    .option('--at-once <number>', 'lines that are answered at once', wholeNumber(1, 256), AT_ONCE)
    .option('--text', 'every line is a prompt as it is, no JSON')
    .option('--max-new-tokens <number>', 'where a line that is no batch line does not say (default: 64)', number)
    .option('--temperature <number>', 'likewise; 0 is greedy (default: 0.7)', number)
    .option('--seed <number>', 'likewise', number)
    .option('--restart', 'begin anew, and write over what is there')
    .option('--allow-failures', 'exit with 0 although lines have failed')
    .option('--json', 'progress and, on the last line, the outcome as lines of JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  slipway batch prompts.jsonl answers.jsonl --model smol
  slipway batch openai-batch.jsonl answers.jsonl --url http://127.0.0.1:8080
  slipway batch questions.txt answers.jsonl --text --max-new-tokens 200 --temperature 0

While it runs, OUTPUT.partial and OUTPUT.journal lie beside the output. After Ctrl-C or a crash the same command goes on from there; it
refuses when the input has changed. A line that cannot be answered gets its error as its answer, and the command exits with 1.`,
    )
    .action(async (input: string, output: string, flags: BatchFlags) => {
      const progress = createProgress(flags.json ?? false);
      const { model, atOnce, url } = flags;
      let startedAt: number | undefined;
      const work = async (signal: AbortSignal): Promise<BatchSummary> => {
        const own = { model, bucketUrl: flags.bucket, occupancySemaphore: atOnce, modelsOnDemand: true };
        const withService: UseService = (use) => (url === undefined ? withOwnService(own, signal, use) : use(url));
        progress.update('preparing', 0);
        return runBatch(
          {
            input,
            output,
            restart: flags.restart ?? false,
            atOnce,
            defaults: {
              text: flags.text ?? false,
              model,
              maxNewTokens: flags.maxNewTokens,
              temperature: flags.temperature,
              seed: flags.seed,
            },
            apiKey: url === undefined ? undefined : process.env.API_KEY,
            signal,
            onProgress({ done, tokens }, whole) {
              startedAt ??= performance.now();
              const tokensPerSecond = perSecond(tokens, (performance.now() - startedAt) / 1000);
              const detail = { lines: done, totalLines: whole, tokensPerSecond };
              progress.update('answering', done / Math.max(1, whole), detail);
            },
          },
          withService,
        );
      };
      try {
        const summary = await interruptible(`${output}.partial is kept; the same command goes on from there`, work);
        progress.end();
        console.log(flags.json ? JSON.stringify(jsonOf(summary, output)) : describe(summary, output));
        if (summary.failed > 0 && !flags.allowFailures) process.exitCode = 1;
      } finally {
        progress.end();
      }
    });
}

function perSecond(tokens: number, seconds: number): number {
  return Math.round(tokens / Math.max(0.001, seconds));
}

function jsonOf({ lines, failed, resumed, tokens, seconds }: BatchSummary, output: string) {
  return { output, lines, failed, resumed, tokens, seconds, tokens_per_second: perSecond(tokens, seconds) };
}

function describe({ lines, failed, resumed, tokens, seconds }: BatchSummary, output: string): string {
  return [
    `${output}  ${lines} lines${failed === 0 ? '' : `, of which ${failed} failed: their answers say why`}`,
    ...(resumed === 0 ? [] : [`  resumed      ${resumed} lines had been answered before`]),
    `  answered in  ${humanSeconds(seconds)}, ${tokens} tokens, ${perSecond(tokens, seconds)} per second`,
  ].join('\n');
}
