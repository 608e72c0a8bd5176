/**
 * How quickly /healthz answers while the engine is saturated by long prompts and long answers.
 */
import type { Version } from '../field.ts';
import { startHttpService, streamGenerate } from '../http-service.ts';
import { type Percentiles, percentiles } from '../rounds.ts';
import type { Prompts } from './speed.ts';

const CLIENTS = 16;
const PROMPT_TOKENS = 2048;
const NEW_TOKENS = 32;
const EVERY_MS = 10;

export interface ProbeResult {
  readonly model: string;
  readonly probes: number;
  readonly milliseconds: Percentiles;
}

/** `seconds`: how long it is kept saturated. */
export async function measureProbe(
  version: Version,
  { make }: Prompts,
  settings: { threads: number; seconds: number },
): Promise<ProbeResult> {
  const contextLength = Math.min(PROMPT_TOKENS + NEW_TOKENS, version.manifest.architecture.context_length);
  const service = await startHttpService(version.reference, {
    threads: settings.threads,
    requests: CLIENTS,
    contextLength,
  });
  const longest = contextLength - NEW_TOKENS;
  let over = false;
  let round = 0;
  const saturate = async (): Promise<void> => {
    while (!over) await streamGenerate(service.url, make(longest, round++), NEW_TOKENS);
  };
  const latencies: number[] = [];
  try {
    // A client that fails ends the measurement: an idle engine would look fine.
    const clients = Promise.all(Array.from({ length: CLIENTS }, saturate));
    const probing = probe(service.url, latencies, performance.now() + settings.seconds * 1000);
    await Promise.race([probing, clients]);
    over = true;
  } finally {
    // Its clients are cut off in the middle of long prompts; nobody waits for their answers.
    service.child.kill('SIGKILL');
  }
  return { model: version.reference, probes: latencies.length, milliseconds: percentiles(latencies) };
}

async function probe(url: string, latencies: number[], until: number): Promise<void> {
  while (performance.now() < until) {
    const asked = performance.now();
    const response = await fetch(`${url}/healthz`);
    await response.text();
    if (!response.ok) throw new Error(`/healthz answered ${response.status}`);
    latencies.push(performance.now() - asked);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
