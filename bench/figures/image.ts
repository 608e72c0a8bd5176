/**
 * What a container of the inference service holds, in bytes, and how soon its process takes requests. Builds the tree that
 * Dockerfile.inference copies, and starts it as often as there are rounds; the container's base is not part of either figure.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeProductionTree } from '../../deploy/production-tree.ts';
import { tryProductionTree } from '../../deploy/try-production-tree.ts';

const COUNTED = {
  dependencies: 'node_modules: production dependencies of the service with the native libraries of this platform',
  service: 'our code, the bundled model and the playground when it is built',
  compiled: 'compiled modules, which the image is built with',
  node: 'the Node that runs this, its symbols included (the image strips them)',
} as const;

export interface ImageFigure {
  readonly counted: typeof COUNTED;
  readonly bytes: Readonly<Record<keyof typeof COUNTED | 'together', number>>;
  readonly ready_ms: { readonly first_of_all: number; readonly median: number; readonly each: readonly number[] };
}

export async function measureImage(rounds: number): Promise<ImageFigure> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-image-'));
  const tree = join(folder, 'app');
  try {
    await writeProductionTree(tree);
    // As in the image's build, where this leaves the compiled modules.
    const first = await tryProductionTree(tree);
    const each: number[] = [];
    for (let round = 0; round < rounds; round++) each.push((await tryProductionTree(tree)).readyMilliseconds);
    const median = each.toSorted((a, b) => a - b)[Math.floor(each.length / 2)] ?? Number.NaN;
    const [all, dependencies, compiled, node] = await Promise.all([
      bytesIn(tree),
      bytesIn(join(tree, 'node_modules')),
      bytesIn(join(tree, '.compile-cache')),
      stat(process.execPath).then(({ size }) => size),
    ]);
    return {
      counted: COUNTED,
      bytes: { dependencies, service: all - dependencies - compiled, compiled, node, together: all + node },
      ready_ms: {
        first_of_all: Math.round(first.readyMilliseconds),
        median: Math.round(median),
        each: each.map(Math.round),
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of files; links and folders take no room worth counting. */
async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
