/**
 * Which of the hosted models a request means by the name it gives. Pure; knows nothing of how they come to be hosted.
 */
import type { Reference } from '@slipway/shared/bucket/keys.ts';

export interface Hosted {
  /** What it was asked for as: NAME, NAME@ALIAS or NAME@v001. */
  readonly reference: Reference;
  /** Answers requests that name no model. */
  readonly isMain: boolean;
  /** The version that answers; undefined while there is none. */
  readonly version: string | undefined;
}

/** NAME, NAME@ALIAS or NAME@v001. */
export function textOf(reference: Reference): string {
  if (reference.kind === 'default') return reference.name;
  return `${reference.name}@${reference.kind === 'version' ? reference.version : reference.alias}`;
}

/**
 * `aliases`: where those of the name were last seen to point. What is hosted under just this name comes first. One version for good
 * answers to its number; to names that move only where it is the main one, as its aliases are not looked at again.
 */
export function whichModel<T extends Hosted>(
  hosted: readonly T[],
  wanted: Reference,
  aliases: ReadonlyMap<string, string>,
): T | undefined {
  const exact = hosted.find(({ reference }) => textOf(reference) === textOf(wanted));
  if (exact !== undefined) return exact;
  const ofName = hosted.filter(({ reference, version }) => reference.name === wanted.name && version !== undefined);
  if (wanted.kind === 'version') return ofName.find(({ version }) => version === wanted.version);
  if (wanted.kind === 'default') {
    const main = ofName.find(({ isMain }) => isMain);
    if (main !== undefined) return main;
  }
  const target =
    wanted.kind === 'alias' ? aliases.get(wanted.alias) : (aliases.get('champion') ?? aliases.get('latest'));
  return ofName.find(
    ({ version, isMain, reference }) => version === target && (isMain || reference.kind !== 'version'),
  );
}
