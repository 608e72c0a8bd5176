/**
 * Brings the names of a trained checkpoint together with those of its base, whatever wrappers it was trained in: names are matched
 * by cutting prefixes, all names of one prefix alike, so that most of them fit. Pure and deterministic; knows no tensors.
 */

export interface NameMatch {
  /** Base name -> the name it has in the checkpoint. */
  readonly matched: ReadonlyMap<string, string>;
  /** Names of the checkpoint that fit nothing. */
  readonly unexpected: readonly string[];
  /** Two names of the checkpoint that would both be the same tensor of the base. */
  readonly ambiguous: readonly { readonly name: string; readonly found: readonly [string, string] }[];
  /** What was cut from, or put before, how many of the matched names. */
  readonly renamed: readonly { readonly from: string; readonly to: string; readonly names: number }[];
}

interface Group {
  readonly prefix: string;
  readonly names: { readonly name: string; readonly rest: string }[];
}

/** Segments that training puts before a model's names, or that a model class begins its names with. */
const LEADING = new Set([
  ...['module', 'actor', 'model', 'policy', 'base_model', 'transformer', 'pretrained_model'],
  ...['actor_model', 'actor_module', 'policy_model'],
]);
/** What torch.compile, FSDP, activation checkpointing and DeepSpeed put around any module, wherever it stands. */
const WRAPPERS = new Set(['_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module', '_forward_module']);
/** What classes with a head call their body; a checkpoint of the body alone lacks it, or the base does. */
const BODIES = ['model.', 'transformer.'];

/** `found`: the checkpoint's names; `wanted`: the base's. */
export function matchNames(found: Iterable<string>, wanted: ReadonlySet<string>): NameMatch {
  const groups = new Map<string, Group>();
  for (const name of found) {
    const { leading, rest } = splitName(name);
    const prefix = leading.map((segment) => `${segment}.`).join('');
    // The head stands beside the body, whose prefixes are not its own.
    const key = rest.startsWith('lm_head.') ? `${prefix} lm_head` : prefix;
    const group = groups.get(key) ?? { prefix, names: [] };
    group.names.push({ name, rest });
    groups.set(key, group);
  }
  const matched = new Map<string, string>();
  const unexpected: string[] = [];
  const ambiguous: NameMatch['ambiguous'][number][] = [];
  const renamed: NameMatch['renamed'][number][] = [];
  for (const { prefix, names } of groups.values()) {
    const best = bestPrefix(prefix, names, wanted);
    let fitting = 0;
    for (const { name, rest } of names) {
      const base = best + rest;
      const other = matched.get(base);
      if (!wanted.has(base)) unexpected.push(name);
      else if (other !== undefined) ambiguous.push({ name: base, found: [other, name] });
      else {
        matched.set(base, name);
        fitting += 1;
      }
    }
    if (fitting > 0 && best !== prefix) renamed.push({ from: prefix, to: best, names: fitting });
  }
  return { matched, unexpected, ambiguous, renamed };
}

/** The first segment that says what a tensor is: after the wrappers and prefixes. */
export function ownSegment(name: string): string {
  return splitName(name).rest.split('.')[0] ?? '';
}

function splitName(name: string): { leading: string[]; rest: string } {
  const segments = name.split('.').filter((segment) => !WRAPPERS.has(segment));
  // The last segment is the tensor itself, never a prefix.
  let cut = segments.slice(0, -1).findIndex((segment) => !LEADING.has(segment));
  if (cut === -1) cut = Math.max(0, segments.length - 1);
  return { leading: segments.slice(0, cut), rest: segments.slice(cut).join('.') };
}

/** Of the prefix's own ends and the bodies' names, the one with which most names fit; of equals the one that cuts least. */
function bestPrefix(prefix: string, group: readonly { rest: string }[], wanted: ReadonlySet<string>): string {
  const segments = prefix.split('.').slice(0, -1);
  const ends = segments.map((_, cut) => `${segments.slice(cut).join('.')}.`);
  let best = prefix;
  let most = 0;
  for (const candidate of new Set([...ends, '', ...BODIES])) {
    const fitting = group.filter(({ rest }) => wanted.has(candidate + rest)).length;
    if (fitting > most) [best, most] = [candidate, fitting];
  }
  return best;
}
