/**
 * Rotary scalings that a GGUF file holds as tensors, one divisor per pair, said as config.json says them. Knows no file.
 */
import { type Llama3Scaling, llama3Frequency, plainFrequencies } from '../architectures/rope-scaling.ts';
import type { SourceTensor } from '../checkpoint.ts';

/** What every published Llama 3 has; a GGUF file does not say it. */
const LOW = 1;
const HIGH = 4;
const CLOSE = 1e-5;

/**
 * Takes `rope_factors_long|short.weight`, and `rope_freqs.weight` where Llama 3's scaling explains it, out of the tensors and puts them
 * into the configuration. Divisors that nothing explains stay among the tensors under their own name.
 */
export async function nameDivisors(config: Record<string, unknown>, tensors: Map<string, SourceTensor>): Promise<void> {
  const [long, short] = [tensors.get('rope_factors_long.weight'), tensors.get('rope_factors_short.weight')];
  if (long && short) {
    config.rope_scaling = {
      ...asRecord(config.rope_scaling),
      long_factor: [...(await long.read())],
      short_factor: [...(await short.read())],
    };
    tensors.delete(long.name);
    tensors.delete(short.name);
  }
  const divisors = tensors.get('rope_freqs.weight');
  const theta = config.rope_theta;
  if (!divisors || typeof theta !== 'number' || divisors.shape.length !== 1) return;
  const scaling = explain(await divisors.read(), theta);
  if (!scaling) return;
  config.rope_scaling = { rope_type: 'llama3', ...scaling };
  tensors.delete(divisors.name);
}

/** The scaling that gives these divisors, found from the largest one and one between the bands; undefined when there is none. */
function explain(divisors: Float32Array, theta: number): Llama3Scaling | undefined {
  const factor = divisors.reduce((a, b) => Math.max(a, b), 1);
  const plain = plainFrequencies(theta, divisors.length * 2);
  const between = divisors.findIndex((divisor) => divisor > 1 + CLOSE && divisor < factor * (1 - CLOSE));
  const frequency = plain[between];
  const divisor = divisors[between];
  if (frequency === undefined || divisor === undefined) return undefined;
  const smooth = (1 / divisor - 1 / factor) / (1 - 1 / factor);
  const original = Math.round(((2 * Math.PI) / frequency) * (LOW + smooth * (HIGH - LOW)));
  const scaling = { factor, low_freq_factor: LOW, high_freq_factor: HIGH, original_max_position_embeddings: original };
  const same = plain.every((value, pair) => {
    const expected = value / llama3Frequency(value, scaling);
    return Math.abs(expected - (divisors[pair] ?? 0)) <= CLOSE * expected;
  });
  return same ? scaling : undefined;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
