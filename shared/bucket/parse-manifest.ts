/**
 * From a manifest's text in a bucket to a manifest that can be trusted to name nothing outside its version, and whether two say the
 * same. Knows no storage.
 */
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../contracts/errors.ts';
import { Manifest } from '../contracts/manifest.ts';
import { isSafePath } from './keys.ts';

/** `where`: for the message. AppError internal when it is damaged, lies about its name, or has a path that leaves the version. */
export function parseManifest(text: string, name: string, version: string, where: string): Manifest {
  const problem = (what: string) =>
    new AppError(
      'internal',
      `The manifest ${where} cannot be used (${what}): it is damaged or from another version of Slipway. Convert the model again.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw problem('it is not JSON');
  }
  const manifest = Manifest.safeParse(json);
  if (!manifest.success) {
    const issue = manifest.error.issues[0];
    throw problem(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (manifest.data.name !== name || manifest.data.version !== version) throw problem('it names another version');
  const unsafe = manifest.data.files.find((entry) => !isSafePath(entry.path));
  if (unsafe) throw problem(`the path ${JSON.stringify(unsafe.path)} leaves the version`);
  return manifest.data;
}

/** But for when they were made. */
export function saysTheSame(left: Manifest, right: Manifest): boolean {
  // As JSON: an optional field that is undefined is one that is not there.
  const said = (manifest: Manifest): unknown => JSON.parse(JSON.stringify({ ...manifest, created_at: null }));
  return isDeepStrictEqual(said(left), said(right));
}
