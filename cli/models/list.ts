/**
 * `slipway models list`: every model with its versions, newest first, and which names point where.
 */
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { type Figures, figuresOf } from '@slipway/shared/contracts/compare-manifests.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { humanAgo, humanBytes, humanCount } from '../human-units.ts';
import { textTable } from '../text-table.ts';
import { bucketOf, type CommonOptions, print } from './bucket-option.ts';

interface ListedVersion {
  readonly version: string;
  readonly aliases: readonly string[];
  /** Undefined when its manifest cannot be read; `problem` says why. */
  readonly made?: MadeVersion;
  readonly problem?: string;
}

interface MadeVersion extends Figures {
  readonly precision: string;
  readonly family: string;
  readonly parameters: number;
  readonly created_at: string;
  readonly drift_allowed: boolean;
  readonly description: string | null;
}

interface ListedModel {
  readonly name: string;
  readonly versions: readonly ListedVersion[];
  /** What restore can bring back: version -> when it was removed. */
  readonly removed: Readonly<Record<string, string>>;
}

export async function list(name: string | undefined, options: CommonOptions): Promise<void> {
  const bucket = bucketOf(options);
  const names = await bucket.models();
  if (name !== undefined && !names.includes(name)) {
    const there = names.length === 0 ? 'there is none' : `there is ${names.join(', ')}`;
    throw new AppError('not_found', `model ${JSON.stringify(name)} is not in ${bucket.location}; ${there}`);
  }
  const models = await Promise.all((name === undefined ? names : [name]).map((one) => describe(bucket, one)));
  print(options, { bucket: bucket.location, models }, () => draw(bucket.location, models, new Date()));
}

async function describe(bucket: Bucket, name: string): Promise<ListedModel> {
  const [versions, aliases, removed] = await Promise.all([
    bucket.versions(name),
    bucket.aliases(name),
    bucket.removed(name),
  ]);
  const described = versions.toReversed().map(async (version): Promise<ListedVersion> => {
    const own = [...aliases].filter(([, target]) => target === version).map(([alias]) => alias);
    try {
      const manifest = await bucket.resolve(`${name}@${version}`);
      const { precision, architecture, created_at, drift_allowed, description = null } = manifest;
      const { family, parameters } = architecture;
      const made = { precision, family, parameters, created_at, drift_allowed, description, ...figuresOf(manifest) };
      return { version, aliases: own, made };
    } catch (error) {
      return { version, aliases: own, problem: error instanceof Error ? error.message : String(error) };
    }
  });
  return {
    name,
    versions: await Promise.all(described),
    removed: Object.fromEntries([...removed].map(([version, at]) => [version, at.toISOString()])),
  };
}

function draw(location: string, models: readonly ListedModel[], now: Date): string {
  if (models.length === 0) {
    return `${location} holds no models yet.\nMake one: slipway convert SOURCE --name NAME, or slipway models pull ORG/NAME`;
  }
  const rows = models.flatMap(({ name, versions }) =>
    versions.map((version, index) => [index === 0 ? name : '', ...cells(version, now)]),
  );
  const notes = models.flatMap(({ name, versions, removed }) => [
    ...versions.flatMap(({ version, problem }) => (problem === undefined ? [] : [`${name}@${version}: ${problem}`])),
    ...Object.entries(removed).map(
      ([version, at]) =>
        `${name}@${version} was removed ${humanAgo(new Date(at), now)}: slipway models restore ${name}@${version}`,
    ),
  ]);
  const headings = [
    'MODEL',
    'VERSION',
    'ALIASES',
    'PRECISION',
    '>SIZE',
    '>BITS',
    '>PERPLEXITY',
    '>PARAMETERS',
    'MADE',
    '',
  ];
  return [textTable(headings, rows), ...(notes.length === 0 ? [] : ['', ...notes])].join('\n');
}

function cells({ version, aliases, made }: ListedVersion, now: Date): string[] {
  if (made === undefined) return [version, aliases.join(', '), 'damaged'];
  return [
    version,
    aliases.join(', '),
    made.precision,
    humanBytes(made.bytes),
    made.bits_per_weight.toFixed(2),
    // Versions are measured over texts of unlike lengths: only ratios compare.
    `${made.perplexity_ratio.toFixed(4)} x source`,
    humanCount(made.parameters),
    humanAgo(new Date(made.created_at), now),
    [made.drift_allowed ? 'outside the bounds' : '', made.description?.split('\n', 1)[0]?.slice(0, 60) ?? '']
      .filter((part) => part !== '')
      .join('; '),
  ];
}
