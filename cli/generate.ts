/**
 * `slipway generate`: a prompt is continued in the terminal while it is generated, by a running service or by one that
 * this command starts for itself.
 */

import { AppError, ERROR_STATUS, type ErrorCode } from '@slipway/shared/contracts/errors.ts';
import type { GenerateAnswer, GenerateDelta } from '@slipway/shared/contracts/generate.ts';
import type { Command } from 'commander';
import { number } from './number-option.ts';
import { withOwnService } from './own-service.ts';

interface GenerateOptions {
  readonly model?: string;
  readonly bucket?: string;
  readonly url?: string;
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly ignoreEos?: true;
}

export function register(program: Command): void {
  program
    .command('generate')
    .description('continue a prompt in the terminal, without a server')
    .argument('<prompt>', 'the text to continue; - reads it from standard input')
    .option('--model <name>', 'NAME, NAME@champion or NAME@v001; default: the first in the bucket')
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket, else the bundled model)')
    .option('--url <url>', 'ask this running service (its key: API_KEY)')
    .option('--max-new-tokens <number>', 'at most this many tokens (default: 64)', number)
    .option('--temperature <number>', '0 is greedy (default: 0.7)', number)
    .option('--top-k <number>', 'only the k best tokens', number)
    .option('--top-p <number>', 'only the best tokens that together have this probability', number)
    .option('--min-p <number>', "only tokens with this share of the best one's probability", number)
    .option('--repetition-penalty <number>', 'above 1 discourages what was already said', number)
    .option('--seed <number>', 'the same seed gives the same text', number)
    .option('--stop <text...>', 'end before one of these texts')
    .option('--ignore-eos', 'go on after the end of the text')
    .action(async (prompt: string, options: GenerateOptions) => {
      const text = prompt === '-' ? await readStandardInput() : prompt;
      const interrupted = new AbortController();
      process.once('SIGINT', () => interrupted.abort());
      // `| head` closes the pipe: it has seen enough.
      process.stdout.once('error', () => interrupted.abort());
      const body = requestOf(text, options);
      try {
        if (options.url !== undefined) await ask(options.url, body, interrupted.signal);
        else await askOwnService(options, body, interrupted.signal);
      } catch (error) {
        if (!interrupted.signal.aborted) throw error;
        // At once: a model that is still being fetched would keep the process.
        process.exit(process.stdout.destroyed ? 0 : 130);
      }
    });
}

function requestOf(prompt: string, options: GenerateOptions): Record<string, unknown> {
  return {
    prompt,
    stream: true,
    max_new_tokens: options.maxNewTokens,
    temperature: options.temperature,
    top_k: options.topK,
    top_p: options.topP,
    min_p: options.minP,
    repetition_penalty: options.repetitionPenalty,
    seed: options.seed,
    stop: options.stop,
    ignore_eos: options.ignoreEos,
  };
}

async function askOwnService(options: GenerateOptions, body: object, signal: AbortSignal): Promise<void> {
  const flags = { model: options.model, bucketUrl: options.bucket, occupancySemaphore: 1, slots: 1 };
  await withOwnService(flags, signal, (url) => ask(url, body, signal));
}

async function ask(url: string, body: object, signal: AbortSignal): Promise<void> {
  const response = await post(url, body, signal);
  if (!response.ok) throw errorOf(await response.text(), response.status);
  for await (const { event, data } of events(response)) {
    if (event === 'error') throw errorOf(data, 500);
    if (event === 'done') return report(JSON.parse(data));
    const delta: GenerateDelta = JSON.parse(data);
    process.stdout.write(delta.text);
  }
  throw new AppError('engine_failed', `${url} closed the connection before the answer was whole`);
}

async function post(url: string, body: object, signal: AbortSignal): Promise<Response> {
  const { API_KEY } = process.env;
  const headers = { 'content-type': 'application/json', ...(API_KEY ? { authorization: `Bearer ${API_KEY}` } : {}) };
  try {
    return await fetch(new URL('/generate', url), { method: 'POST', body: JSON.stringify(body), headers, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new AppError('not_found', `no service answers at ${url}; start one with slipway serve`, { cause: error });
  }
}

async function* events(response: Response): AsyncGenerator<{ event: string | undefined; data: string }> {
  const decoder = new TextDecoder();
  let buffer = '';
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true });
    const blocks = buffer.split('\n\n');
    buffer = blocks.pop() ?? '';
    for (const block of blocks) {
      yield { event: /^event: (.*)$/m.exec(block)?.[1], data: /^data: (.*)$/m.exec(block)?.[1] ?? '{}' };
    }
  }
}

function report({ usage, timings, outputs, seed }: GenerateAnswer): void {
  process.stdout.write('\n');
  if (!process.stderr.isTTY) return;
  const reason = outputs[0]?.finish_reason;
  console.error(
    `\n${usage.completion_tokens} tokens, ${timings.tokens_per_second} per second, ended by ${reason}, seed ${seed}`,
  );
}

/** The service's own words when it sent some. */
function errorOf(text: string, status: number): AppError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    if (error.code in ERROR_STATUS) return new AppError(error.code as ErrorCode, error.message);
  } catch {
    // A proxy's page: the status has to do.
  }
  return new AppError('engine_failed', `the service answered with status ${status}`);
}

async function readStandardInput(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  return text;
}
