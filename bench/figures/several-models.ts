/**
 * What a service with several models holds in memory beside the same service with each of them alone, and what it holds when all but the
 * first have been unloaded. Every model answers before it is measured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Version } from '../field.ts';
import { type HttpService, startHttpService, streamGenerate } from '../http-service.ts';
import { sharedOutSize } from '../process-memory.ts';
import { round3 } from '../rounds.ts';
import type { Prompts } from './speed.ts';

const CONTEXT = 512;
const PROMPT_TOKENS = 256;
const NEW_TOKENS = 32;
/** Until what was freed has gone back to the system. */
const SETTLE_MILLISECONDS = 3000;

export interface SeveralModels {
  readonly models: readonly string[];
  /** MiB, pages that processes share counted once. */
  readonly mib: {
    /** A service without a model, and what each model adds to it alone. */
    readonly service: number;
    readonly each: readonly number[];
    readonly sum: number;
    readonly first_alone: number;
    readonly together: number;
    readonly after_unload: number;
  };
  readonly together_by_sum: number;
  readonly after_unload_by_first_alone: number;
}

/** At least two versions. */
export async function measureSeveralModels(
  versions: readonly Version[],
  { make }: Prompts,
  settings: { threads: number },
): Promise<SeveralModels> {
  const [first, ...others] = versions;
  if (!first) throw new Error('no version was given');
  const options = { threads: settings.threads, requests: 2, contextLength: CONTEXT };
  const answer = (url: string, model: string) => streamGenerate(url, make(PROMPT_TOKENS), NEW_TOKENS, { model });
  const measure = async ({ child }: HttpService): Promise<number> => {
    await sleep(SETTLE_MILLISECONDS);
    return sharedOutSize(child.pid ?? 0);
  };
  const alone: { service: number; model: number }[] = [];
  for (const { reference } of versions) {
    const service = await startHttpService(reference, options);
    try {
      await answer(service.url, reference);
      const whole = await measure(service);
      await tell(service.url, 'unload', reference);
      const empty = await measure(service);
      alone.push({ service: empty, model: whole - empty });
    } finally {
      await service.stop();
    }
  }
  const service = await startHttpService(first.reference, options);
  try {
    await answer(service.url, first.reference);
    const before = await measure(service);
    for (const { reference } of others) {
      await tell(service.url, 'load', reference);
      await answer(service.url, reference);
    }
    const together = await measure(service);
    for (const { reference } of others) await tell(service.url, 'unload', reference);
    const after = await measure(service);
    const empty = alone[0]?.service ?? Number.NaN;
    const sum = alone.reduce((all, { model }) => all + model, empty);
    return {
      models: versions.map(({ reference }) => reference),
      mib: {
        service: round3(empty),
        each: alone.map(({ model }) => round3(model)),
        sum: round3(sum),
        first_alone: round3(before),
        together: round3(together),
        after_unload: round3(after),
      },
      together_by_sum: round3(together / sum),
      after_unload_by_first_alone: round3(after / before),
    };
  } finally {
    await service.stop();
  }
}

async function tell(url: string, what: 'load' | 'unload', model: string): Promise<void> {
  const response = await fetch(`${url}/models/${what}`, { method: 'POST', body: JSON.stringify({ model }) });
  if (!response.ok) throw new Error(`/models/${what} answered ${response.status}: ${await response.text()}`);
}
