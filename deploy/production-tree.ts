/**
 * What a container of the inference service holds besides Node and its base: our code, the bundled model, the playground when it is built,
 * and of each production dependency what this platform needs. Follows the lock file; knows nothing of containers.
 *
 *     node deploy/production-tree.ts FOLDER
 */
import { cp, lstat, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const SERVICE = 'services/inference';
/** Copied as they are, where they are there. */
const AS_THEY_ARE = ['LICENSE', 'package.json', 'models/manifests', 'models/blobs', 'apps/playground/dist'];

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Alpine's C library instead of glibc. */
  readonly isMusl: boolean;
}

/** `destination` must be empty or not there. */
export async function writeProductionTree(destination: string): Promise<void> {
  await mkdir(destination, { recursive: true });
  if ((await readdir(destination)).length > 0) throw new Error(`${destination} is not empty`);
  const lock = parseLock(await readFile(join(ROOT, 'package-lock.json'), 'utf8'));
  const platform = { os: process.platform, architecture: process.arch, isMusl: isMusl() };
  for (const { path, isOurs } of productionPackages(lock, SERVICE)) {
    // An optional package of another platform is in the lock file and not here.
    if (lock[path]?.optional && !(await exists(join(ROOT, path)))) continue;
    const isNeeded = isOurs ? isOurProduct : (file: string) => isNeededOf(nameOf(path), file, platform);
    await copyTree(join(ROOT, path), join(destination, path), isNeeded);
    if (isOurs) await linkWorkspace(destination, lock, path);
  }
  for (const path of AS_THEY_ARE) {
    if (await exists(join(ROOT, path))) await copyTree(join(ROOT, path), join(destination, path), () => true);
  }
}

interface LockedPackage {
  readonly link?: boolean;
  readonly resolved?: string;
  readonly optional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
type Lock = Readonly<Record<string, LockedPackage>>;

function parseLock(text: string): Lock {
  // npm's own file, version 3: what it says was checked by npm when it installed.
  return (JSON.parse(text) as { packages: Lock }).packages;
}

/** Of these nothing but a native library is loaded, so that what their JavaScript would need is not. */
const LIBRARY_ONLY = new Set(['onnxruntime-node']);

export interface ProductionPackage {
  readonly path: string;
  /** A workspace of this repository. */
  readonly isOurs: boolean;
}

/** The package at `entry` and all that it needs, wherever npm has put it. */
export function productionPackages(lock: Lock, entry: string): readonly ProductionPackage[] {
  const found = new Set([entry]);
  for (const path of found) {
    if (LIBRARY_ONLY.has(nameOf(path))) continue;
    const { dependencies, optionalDependencies } = lock[path] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const place = locate(lock, path, name);
      if (place === undefined) throw new Error(`${path} needs ${name}, which package-lock.json does not have`);
      found.add(place);
    }
  }
  return [...found].map((path) => ({ path, isOurs: !path.includes('node_modules/') }));
}

/** As Node looks: beside the one that asks, then in every folder above. */
function locate(lock: Lock, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name);
    const known = lock[place];
    if (known) return known.link ? known.resolved : place;
    if (folder === '.') return undefined;
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** Types, source maps, sources in other languages, prose; licences stay. */
const NOT_RUN = /\.(d\.[cm]?ts|[cm]?tsx?|map|flow|md|markdown|cc?|cpp|hh?|gyp|inc|cmake|tsbuildinfo)$/;
const LICENCE = /^(licen[cs]e|notice|copying)/i;
/** Folders at the top of a package that no program imports from. `dist-es` and `dist-types` are the AWS SDK's for bundlers and editors. */
const NOT_IMPORTED = new Set([
  'test',
  'tests',
  'doc',
  'docs',
  'examples',
  'benchmarks',
  'fixtures',
  'dist-es',
  'dist-types',
]);

/** Whether a program on this platform may read `file`, a path within the package `name`. */
export function isNeededOf(name: string, file: string, { os, architecture, isMusl }: Platform): boolean {
  const segments = file.split('/');
  const [top = ''] = segments;
  if (LICENCE.test(segments.at(-1) ?? '')) return true;
  if (name === 'onnxruntime-node') {
    const folder = `bin/napi-v6/${os}/${architecture}`;
    return (
      file === 'package.json' || `${folder}/`.startsWith(`${file}/`) || file.startsWith(`${folder}/libonnxruntime`)
    );
  }
  // Built twice, for glibc and for musl.
  if (name.startsWith('@koromix/') && top.startsWith(isMusl ? 'linux_' : 'musl_')) return false;
  // Packages within it are packages of their own in the lock file.
  return top !== 'node_modules' && !NOT_IMPORTED.has(top) && !NOT_RUN.test(file);
}

/** Our sources are what runs; tests and what only they use are not. */
export function isOurProduct(file: string): boolean {
  return !/(^|\/)(node_modules|testing|fixtures)(\/|$)|\.test\.ts$|\.md$/.test(file);
}

async function copyTree(from: string, to: string, isNeeded: (file: string) => boolean): Promise<void> {
  await cp(from, to, {
    recursive: true,
    filter: (source) => source === from || isNeeded(relative(from, source).replaceAll('\\', '/')),
  });
}

/** npm finds a workspace by a link in node_modules. */
async function linkWorkspace(destination: string, lock: Lock, path: string): Promise<void> {
  const [link] = Object.entries(lock).find(([, each]) => each.link && each.resolved === path) ?? [];
  if (link === undefined) return;
  const place = join(destination, link);
  await mkdir(dirname(place), { recursive: true });
  await symlink(relative(dirname(place), join(destination, path)), place);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Node names the C library it runs on, when that is glibc. */
function isMusl(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return process.platform === 'linux' && header.glibcVersionRuntime === undefined;
}

if (import.meta.main) {
  const [destination] = process.argv.slice(2);
  if (destination === undefined) throw new Error('Say where: node deploy/production-tree.ts FOLDER');
  await writeProductionTree(resolve(destination));
}
