/**
 * Two versions beside each other: figures, and what of their inputs and files is the same. Pure; formats nothing.
 */
import type { Manifest } from './manifest.ts';

export interface Figures {
  readonly bytes: number;
  readonly bits_per_weight: number;
  readonly perplexity: number;
  /** To that of the version's own source in float32. */
  readonly perplexity_ratio: number;
  readonly kl_divergence: number;
  readonly top1_agreement: number;
}

export interface Difference {
  readonly what: string;
  readonly left: string | null;
  readonly right: string | null;
}

export interface Comparison {
  readonly left: string;
  readonly right: string;
  readonly figures: { readonly left: Figures; readonly right: Figures };
  /** Perplexities can only be set beside each other when they were measured on the same text and by the same tokens. */
  readonly is_same_text: boolean;
  readonly differences: readonly Difference[];
  /** What has no difference: architecture, tokenizer, source ... */
  readonly same: readonly string[];
}

export function compareManifests(left: Manifest, right: Manifest): Comparison {
  const [own, other] = [factsOf(left), factsOf(right)];
  const differences: Difference[] = [];
  const groups = new Map<string, boolean>();
  for (const what of new Set([...own.keys(), ...other.keys()])) {
    const [a, b] = [own.get(what)?.value ?? null, other.get(what)?.value ?? null];
    const group = own.get(what)?.group ?? other.get(what)?.group ?? what;
    if (a !== b) differences.push({ what, left: a, right: b });
    if (a !== null || b !== null) groups.set(group, (groups.get(group) ?? true) && a === b);
  }
  const same = [...groups].filter(([, isSame]) => isSame).map(([group]) => group);
  return {
    left: `${left.name}@${left.version}`,
    right: `${right.name}@${right.version}`,
    figures: { left: figuresOf(left), right: figuresOf(right) },
    is_same_text:
      left.parity.text === right.parity.text &&
      left.parity.tokens === right.parity.tokens &&
      hashOf(left, left.text.tokenizer) === hashOf(right, right.text.tokenizer),
    differences,
    same,
  };
}

export function figuresOf({ files, bits_per_weight, parity }: Manifest): Figures {
  return {
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    bits_per_weight,
    perplexity: parity.perplexity,
    perplexity_ratio: parity.perplexity / parity.perplexity_source,
    kl_divergence: parity.kl_divergence,
    top1_agreement: parity.top1_agreement,
  };
}

interface Fact {
  readonly group: string;
  readonly value: string | null;
}

function factsOf(manifest: Manifest): Map<string, Fact> {
  const { architecture, source, text, lineage } = manifest;
  const facts = new Map<string, Fact>();
  const add = (group: string, value: string | null, what = group) => facts.set(what, { group, value });
  add('description', manifest.description ?? null);
  add('precision', manifest.precision);
  add('quantization', manifest.quantization);
  for (const [name, value] of Object.entries(architecture)) {
    add('architecture', String(value), name.replaceAll('_', ' '));
  }
  add('weights', hashOf(manifest, manifest.weights));
  add('tokenizer', hashOf(manifest, text.tokenizer));
  add('chat template', hashOf(manifest, text.chat_template));
  add('end of text', text.eos_token_ids.join(', '));
  add('outside the bounds', manifest.drift_allowed ? 'yes' : null);
  add('source', `${source.kind} ${source.label}`);
  for (const { name, sha256 } of source.files) add('source', sha256, `source ${name}`);
  add('parent', lineage?.parent ?? null);
  add('git commit', lineage?.git_commit ?? null);
  for (const { name, sha256 } of lineage?.data ?? []) add('training data', sha256, `data ${name}`);
  return facts;
}

function hashOf({ files }: Manifest, path: string | null): string | null {
  return files.find((file) => file.path === path)?.sha256 ?? null;
}
