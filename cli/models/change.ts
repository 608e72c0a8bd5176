/**
 * `slipway models promote | rollback | remove | restore | gc`: the commands that change where names point and what is kept.
 */
import type { MoveOptions } from '@slipway/shared/bucket/bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { humanBytes } from '../human-units.ts';
import { bucketOf, type CommonOptions, exactVersion, labelOf, print } from './bucket-option.ts';

interface AliasOptions extends CommonOptions {
  readonly alias: string;
  readonly expected?: string;
}

export async function promote(reference: string, options: AliasOptions): Promise<void> {
  const bucket = bucketOf(options);
  // Of a bare NAME nobody can say which version was meant: the champion is the one it should replace.
  if (!reference.includes('@')) exactVersion(reference);
  const { name, version } = await bucket.resolve(reference);
  const before = (await bucket.aliases(name)).get(options.alias) ?? null;
  await bucket.setAlias(name, options.alias, version, moveOptions(options));
  tellMove(options, name, before, version);
}

export async function rollback(name: string, options: AliasOptions): Promise<void> {
  const bucket = bucketOf(options);
  const before = (await bucket.aliases(name)).get(options.alias) ?? null;
  tellMove(options, name, before, await bucket.rollback(name, options.alias, moveOptions(options)));
}

function moveOptions({ expected }: AliasOptions): MoveOptions {
  if (expected === undefined) return {};
  if (expected === 'none') return { expected: null };
  if (/^v\d+$/.test(expected)) return { expected };
  throw new AppError('invalid_field', `--expected ${JSON.stringify(expected)} is no version; write v001, or none`);
}

function tellMove(options: AliasOptions, name: string, before: string | null, after: string | null): void {
  const { alias } = options;
  print(options, { name, alias, before, version: after }, () =>
    before === after
      ? `${name}@${alias} already points at ${after ?? 'nothing'}`
      : `${name}@${alias}: ${before ?? 'nothing'} -> ${after ?? 'nothing'}`,
  );
}

export async function remove(reference: string, options: CommonOptions): Promise<void> {
  const { name, version } = exactVersion(reference);
  await bucketOf(options).remove(name, version);
  print(
    options,
    { name, version, removed: true },
    () => `${reference} is removed; slipway models restore ${reference} brings it back`,
  );
}

export async function restore(reference: string, options: CommonOptions): Promise<void> {
  const { name, version } = exactVersion(reference);
  const bucket = bucketOf(options);
  await bucket.restore(name, version);
  const manifest = await bucket.resolve(reference);
  print(options, { name, version, restored: true }, () => `${labelOf(manifest)} is back`);
}

export async function collect(
  options: CommonOptions & { readonly dryRun?: true; readonly graceDays?: number },
): Promise<void> {
  const dryRun = options.dryRun ?? false;
  const collected = await bucketOf(options).collect({
    dryRun,
    ...(options.graceDays === undefined ? {} : { graceMs: options.graceDays * 86_400_000 }),
  });
  const { versions, blobs, bytes } = collected;
  print(options, { ...collected, dry_run: dryRun }, () => {
    if (versions.length === 0 && blobs === 0) return 'There is nothing to free.';
    const what = `${humanBytes(bytes)} in ${blobs} ${blobs === 1 ? 'file' : 'files'}`;
    const gone = versions.length === 0 ? '' : `; for good: ${versions.join(', ')}`;
    return `${dryRun ? 'Would free' : 'Freed'} ${what}${gone}`;
  });
}
