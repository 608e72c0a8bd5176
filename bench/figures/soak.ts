/**
 * Whether memory stays flat over many requests: whole answers, streams, clients that leave and requests that are wrong, mixed. Knows
 * Linux's /proc, where the sizes stand.
 */
import { readFileSync } from 'node:fs';
import type { Version } from '../field.ts';
import { startHttpService } from '../http-service.ts';
import { round3 } from '../rounds.ts';
import type { Prompts } from './speed.ts';

const CLIENTS = 16;
const CONTEXT = 512;
const SAMPLES = 40;
const LONGEST_ANSWER = 24;

export interface SoakResult {
  readonly model: string;
  readonly requests: number;
  readonly seconds: number;
  /** How requests ended: by status, or `left` where the client did. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly service: MemoryTrend;
  readonly engine: MemoryTrend;
}

interface MemoryTrend {
  readonly first_mib: number;
  readonly last_mib: number;
  readonly most_mib: number;
  /** Of the straight line (least squares) through the second half of the samples. */
  readonly slope_mib_per_1000_requests: number;
}

export async function measureSoak(
  version: Version,
  { make }: Prompts,
  settings: { threads: number; requests: number },
  tell: (line: string) => void,
): Promise<SoakResult> {
  const contextLength = Math.min(CONTEXT, version.manifest.architecture.context_length);
  const service = await startHttpService(version.reference, { ...settings, requests: CLIENTS, contextLength });
  const outcomes: Record<string, number> = {};
  const memory = { service: [] as number[], engine: [] as number[] };
  const every = Math.max(1, Math.floor(settings.requests / SAMPLES));
  const begun = performance.now();
  let asked = 0;
  const client = async (): Promise<void> => {
    while (asked < settings.requests) {
      const index = asked++;
      if (index % every === 0) {
        const sizes = residentSizes(service.child.pid ?? 0);
        memory.service.push(sizes.own);
        memory.engine.push(sizes.children);
        tell(`${index} requests: service ${sizes.own.toFixed(1)} MiB, engine ${sizes.children.toFixed(1)} MiB`);
      }
      const outcome = await ask(
        service.url,
        index,
        make(1 + ((index * 37) % (contextLength - LONGEST_ANSWER - 1)), index),
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: CLIENTS }, client));
  } finally {
    await service.stop();
  }
  return {
    model: version.reference,
    requests: settings.requests,
    seconds: Math.round((performance.now() - begun) / 1000),
    outcomes,
    service: trendOf(memory.service, every),
    engine: trendOf(memory.engine, every),
  };
}

/** Four kinds in turn: a whole answer, a stream that is read, one that is left, a request that is wrong. */
async function ask(url: string, index: number, prompt: readonly number[]): Promise<string> {
  const kind = ['whole', 'read', 'left', 'wrong'][index % 4];
  const body = {
    prompt,
    max_new_tokens: 1 + (index % LONGEST_ANSWER),
    seed: index,
    stream: kind === 'read' || kind === 'left',
    ...(kind === 'wrong' ? { temperature: -1 } : {}),
  };
  const leaving = new AbortController();
  const response = await fetch(`${url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: leaving.signal,
  });
  if (kind === 'left') {
    await response.body?.getReader().read();
    leaving.abort();
    return 'left';
  }
  const text = await response.text();
  if (kind === 'read' && !text.includes('event: done'))
    throw new Error(`a stream ended without an end: ${text.slice(-200)}`);
  return String(response.status);
}

/** MiB of a process and of all that it has started. */
function residentSizes(pid: number): { own: number; children: number } {
  const mib = (process: string) => {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'))?.[1];
    return Number(kibibytes ?? Number.NaN) / 1024;
  };
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return { own: mib(String(pid)), children: children.reduce((sum, child) => sum + mib(child), 0) };
}

function trendOf(samples: readonly number[], every: number): MemoryTrend {
  const late = samples.slice(Math.floor(samples.length / 2));
  const mean = late.reduce((sum, value) => sum + value, 0) / late.length;
  const middle = (late.length - 1) / 2;
  let [above, below] = [0, 0];
  for (const [at, value] of late.entries()) {
    above += (at - middle) * (value - mean);
    below += (at - middle) ** 2;
  }
  return {
    first_mib: round3(samples[0] ?? Number.NaN),
    last_mib: round3(samples.at(-1) ?? Number.NaN),
    most_mib: round3(Math.max(...samples)),
    slope_mib_per_1000_requests: round3((above / below / every) * 1000),
  };
}
