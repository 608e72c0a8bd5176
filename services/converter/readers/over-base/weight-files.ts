/**
 * Which files of a training checkpoint's folder hold the weights, from their names alone: shards by an index or by their numbers, none
 * of them missing, and the formats that only their own tools can join. Reads no file.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

const WEIGHTS = /\.(safetensors|pt|pth|bin)$/;
/** What training keeps beside the weights. */
const BESIDE =
  /^(adapter_|optim|sched|scaler|rng_state|random_states|training_args|trainer_state|extra_state|dataloader)|_?optim_states\.pt$/;

interface Series {
  /** All but the number. */
  readonly key: string;
  readonly number: number;
  /** How many there are, where the name says it. */
  readonly total: number | null;
  readonly first: number;
  readonly nameOf: (number: number) => string;
}

/** Names that weights lie in, in order. AppError says which shards are missing, or what joins a format that is not read here. */
export function weightFiles(names: readonly string[], folder: string): string[] {
  const unsupported = (message: string) => new AppError('unsupported_source', `${folder}: ${message}`);
  if (names.some((name) => name.endsWith('.distcp'))) {
    throw unsupported(
      'holds a torch distributed checkpoint (.distcp); join it with: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pt',
    );
  }
  const kept = names.filter((name) => !BESIDE.test(name));
  requireSeries(kept, folder);
  if (names.some((name) => /^zero_pp_rank_\d+_mp_rank_\d+_model_states\.pt$/.test(name))) {
    throw unsupported(
      'every rank of this DeepSpeed ZeRO-3 checkpoint holds a part of each tensor; join them with the zero_to_fp32.py that DeepSpeed put beside it, and convert what that writes',
    );
  }
  if (names.some((name) => /^mp_rank_(?!00_)\d+_model_states\.pt$/.test(name))) {
    throw unsupported(
      'this DeepSpeed checkpoint was split by tensor parallelism (mp_rank_01 and up); gather it to one rank before saving',
    );
  }
  const weights = kept.filter((name) => WEIGHTS.test(name)).toSorted();
  const safe = weights.filter((name) => name.endsWith('.safetensors'));
  // Both are there when a trainer saved one and somebody converted it: the same weights.
  if (safe.length > 0) return safe;
  if (weights.length > 0) return weights;
  const hint = names.length > 0 ? `; there are ${names.slice(0, 8).join(', ')}` : '';
  throw new AppError('invalid_source', `${folder}: no weights (.safetensors, .pt, .pth or .bin) are in it${hint}`);
}

/** AppError when of numbered files some are not there. */
function requireSeries(names: readonly string[], folder: string): void {
  const series = new Map<string, Series[]>();
  for (const name of names) {
    const member = numbered(name);
    if (member) series.set(member.key, [...(series.get(member.key) ?? []), member]);
  }
  for (const members of series.values()) {
    const [{ first, nameOf, total }] = members as [Series, ...Series[]];
    const there = new Set(members.map(({ number }) => number));
    const end = total === null ? Math.max(...there) + 1 : first + total;
    if (end - first > MAX_SHARDS) {
      throw new AppError(
        'invalid_source',
        `${folder}: ${nameOf(first)} claims ${end - first} files; the limit is ${MAX_SHARDS}`,
      );
    }
    const missing = Array.from({ length: end - first }, (_, index) => first + index).filter((n) => !there.has(n));
    if (missing.length === 0) continue;
    const shown = missing.slice(0, 8).map(nameOf).join(', ');
    const more = missing.length > 8 ? ` and ${missing.length - 8} more` : '';
    throw new AppError('invalid_source', `${folder}: of ${end - first} shards these are missing: ${shown}${more}`);
  }
}

const MAX_SHARDS = 4096;

function numbered(name: string): Series | undefined {
  const counted = /^(.*-)(\d{5})-of-(\d{5})(\..+)$/.exec(name);
  if (counted) {
    const [, before = '', number = '', total = '', after = ''] = counted;
    const nameOf = (n: number) => `${before}${String(n).padStart(5, '0')}-of-${total}${after}`;
    return { key: nameOf(0), number: Number(number), total: Number(total), first: 1, nameOf };
  }
  const ranked = /^(.*?)(?:world_size_(\d{1,5})_)?((?:pp_|mp_)?rank[_-]?)(\d{1,5})(\D.*)$/.exec(name);
  if (!ranked || !WEIGHTS.test(name)) return undefined;
  const [, before = '', world, rank = '', number = '', after = ''] = ranked;
  const start = `${before}${world === undefined ? '' : `world_size_${world}_`}${rank}`;
  const nameOf = (n: number) => `${start}${String(n).padStart(/^0\d/.test(number) ? number.length : 1, '0')}${after}`;
  return {
    key: `${start}*${after}`,
    number: Number(number),
    total: world === undefined ? null : Number(world),
    first: 0,
    nameOf,
  };
}
