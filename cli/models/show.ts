/**
 * `slipway models show`: one version with all that is known of it, and what has happened to its name.
 */
import type { Change } from '@slipway/shared/bucket/bucket.ts';
import { figuresOf } from '@slipway/shared/contracts/compare-manifests.ts';
import { type Manifest, UNBOUNDED_CONTEXT } from '@slipway/shared/contracts/manifest.ts';
import { humanAgo, humanBytes, humanCount, humanSeconds } from '../human-units.ts';
import { textTable } from '../text-table.ts';
import { bucketOf, type CommonOptions, labelOf, print } from './bucket-option.ts';

const SHOWN_CHANGES = 8;
const SHOWN_HASH = 12;

export async function show(reference: string, options: CommonOptions): Promise<void> {
  const bucket = bucketOf(options);
  const manifest = await bucket.resolve(reference);
  const [aliases, changes] = await Promise.all([bucket.aliases(manifest.name), bucket.changes(manifest.name)]);
  const own = [...aliases].filter(([, version]) => version === manifest.version).map(([alias]) => alias);
  print(options, { ...manifest, aliases: own, changes }, () => draw(manifest, own, changes, new Date()));
}

function draw(manifest: Manifest, aliases: readonly string[], changes: readonly Change[], now: Date): string {
  const { architecture: shape, parity, source, text, lineage } = manifest;
  const { bytes, perplexity_ratio } = figuresOf(manifest);
  const rows = [
    ['description', manifest.description ?? ''],
    ['aliases', aliases.join(', ')],
    ['made', `${humanAgo(new Date(manifest.created_at), now)} (${manifest.created_at})`],
    [
      'architecture',
      `${shape.family}, ${humanCount(shape.parameters)} parameters, ${shape.layers} layers of ${shape.hidden_size}`,
    ],
    ['', shapeInWords(manifest)],
    ['precision', `${manifest.precision}, ${manifest.bits_per_weight.toFixed(2)} bits per weight`],
    ['', manifest.quantization],
    ['size', humanBytes(bytes)],
    ['perplexity', `${parity.perplexity.toFixed(3)}, ${perplexity_ratio.toFixed(4)} times the source's`],
    [
      'parity',
      `top-1 ${(parity.top1_agreement * 100).toFixed(1)} % agree, KL divergence ${parity.kl_divergence.toPrecision(2)}`,
    ],
    ['', `largest logit error ${parity.max_logit_error.toPrecision(2)}, over ${parity.tokens} tokens (${parity.text})`],
    ['', manifest.drift_allowed ? 'OUTSIDE THE BOUNDS, published with --allow-drift' : ''],
    [
      'text',
      `ends with ${text.eos_token_ids.join(', ') || 'nothing'}; ${text.chat_template === null ? 'no chat template' : 'has a chat template'}`,
    ],
    ['source', `${source.kind} ${source.label}`],
    ['parent', lineage?.parent ?? ''],
    ['training', trainingInWords(lineage)],
    ['run', lineage?.run ?? ''],
    ['git commit', lineage?.git_commit ?? ''],
    ['seeds', pairs(lineage?.seeds)],
    ['libraries', pairs(lineage?.libraries)],
  ].filter(([, value]) => value !== '');
  const files = (all: Manifest['files'] | Manifest['source']['files']) =>
    textTable(
      ['', '>', ''],
      all.map((file) => [
        `  ${'path' in file ? file.path : file.name}`,
        humanBytes(file.bytes),
        file.sha256.slice(0, SHOWN_HASH),
      ]),
    );
  return [
    labelOf(manifest),
    textTable(
      ['', ''],
      rows.map(([label = '', value = '']) => [`  ${label}`, value]),
    ),
    '',
    'Files (size, sha256)',
    files(manifest.files),
    ...(source.files.length === 0 ? [] : ['', 'Made from', files(source.files)]),
    ...(lineage?.data === undefined ? [] : ['', 'Trained on', files(lineage.data)]),
    ...history(changes, now),
  ].join('\n');
}

function shapeInWords({ architecture, graphs }: Manifest): string {
  const { heads, kv_heads, vocab_size } = architecture;
  const { context_length } = graphs.serving;
  const attention = heads === undefined ? '' : `${heads} heads over ${kv_heads}, `;
  const context = context_length === UNBOUNDED_CONTEXT ? 'any context' : `context ${context_length}`;
  return `${attention}vocabulary ${vocab_size}, ${context}`;
}

function trainingInWords(lineage: Manifest['lineage']): string {
  if (lineage?.training === undefined) return '';
  const { steps, tokens, seconds, loss, validation_loss } = lineage.training;
  const losses = [
    loss === null ? '' : `loss ${loss.toFixed(3)}`,
    validation_loss === null ? '' : `held out ${validation_loss.toFixed(3)}`,
  ];
  return [`${steps} steps, ${humanCount(tokens)} tokens in ${humanSeconds(seconds)}`, ...losses]
    .filter((part) => part !== '')
    .join('; ');
}

function pairs(values: Readonly<Record<string, string | number>> | undefined): string {
  return Object.entries(values ?? {})
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function history(changes: readonly Change[], now: Date): string[] {
  if (changes.length === 0) return [];
  const newest = changes.slice(-SHOWN_CHANGES).reverse();
  const rows = newest.map((change) => [`  ${humanAgo(change.at, now)}`, inWords(change)]);
  return ['', 'What happened to the name', textTable(['', ''], rows)];
}

function inWords(change: Change): string {
  switch (change.kind) {
    case 'set':
      return `${change.alias} -> ${change.version ?? 'nothing'}`;
    case 'rollback':
      return `${change.alias} rolled back -> ${change.version ?? 'nothing'}`;
    case 'collect':
      return `gone for good: ${change.versions.join(', ')}`;
    default:
      return `${change.version} ${change.kind}d`;
  }
}
