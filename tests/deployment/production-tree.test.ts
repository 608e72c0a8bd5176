/** What a container holds: enough to answer, and nothing of other platforms, of tests or of development. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUNDLED_BUCKET } from '@slipway/inference/serve';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNeededOf, productionPackages, writeProductionTree } from '../../deploy/production-tree.ts';
import { tryProductionTree } from '../../deploy/try-production-tree.ts';
import { slipway } from '../converter/testing/slipway.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-tree-'));
const tree = join(folder, 'app');
let files: string[];

beforeAll(async () => {
  await writeProductionTree(tree);
  files = readdirSync(tree, { recursive: true, encoding: 'utf8' });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the production tree', () => {
  it('starts, answers with the bundled model, ends on SIGTERM, and leaves compiled modules for the next start', async () => {
    const { text } = await tryProductionTree(tree);
    const said = await slipway([
      'generate',
      'ROMEO:',
      '--max-new-tokens',
      '16',
      '--temperature',
      '0',
      '--bucket',
      BUNDLED_BUCKET,
    ]);
    expect(said.stdout).toBe(`${text}\n`);
    expect(text).toMatch(/[a-z]{3}/i);
    expect(readdirSync(join(tree, '.compile-cache')).length).toBe(1);
  });

  it('has one ONNX Runtime, that of this platform', () => {
    const libraries = files.filter((file) => /onnxruntime[^/]*\.(so|dylib|dll)(\.|$)/.test(file));
    expect(libraries).toHaveLength(1);
    expect(libraries[0]).toContain(`${process.platform}/${process.arch}/`);
    expect(files.filter((file) => file.endsWith('.node'))).toHaveLength(1);
  });

  it('has no tests, types, maps, development tools or other services', () => {
    expect(
      files.filter((file) =>
        /\.test\.ts$|\.d\.[cm]?ts$|\.map$|^(shared|services)\/.*\/(testing|fixtures)\//.test(file),
      ),
    ).toEqual([]);
    for (const absent of ['vitest', 'typescript', 'node', '@huggingface/hub', 'global-agent']) {
      expect(existsSync(join(tree, 'node_modules', absent)), absent).toBe(false);
    }
    expect(readdirSync(join(tree, 'services'))).toEqual(['inference']);
  });

  it('keeps the licences', () => {
    for (const name of ['koffi', 'zod', 'hono', 'pino']) {
      expect(
        files.some((file) => file.toLowerCase().startsWith(`node_modules/${name}/licen`)),
        name,
      ).toBe(true);
    }
  });

  it('is not written over what is there', async () => {
    await expect(writeProductionTree(tree)).rejects.toThrow('is not empty');
  });
});

describe('finding the packages', () => {
  const lock = {
    'services/inference': { dependencies: { shared: '1', a: '1' } },
    shared: { dependencies: { b: '1' } },
    'node_modules/shared': { link: true, resolved: 'shared' },
    'node_modules/a': { dependencies: { b: '2' }, optionalDependencies: { c: '1' } },
    'node_modules/a/node_modules/b': {},
    'node_modules/b': { dependencies: { a: '1' } },
    'node_modules/c': { optional: true },
    'node_modules/dev': {},
  };
  const paths = (entry: string) => productionPackages(lock, entry).map(({ path }) => path);

  it('takes the version that Node would load, follows workspaces and circles, and nothing else', () => {
    expect(paths('services/inference')).toEqual([
      'services/inference',
      'shared',
      'node_modules/a',
      'node_modules/b',
      'node_modules/a/node_modules/b',
      'node_modules/c',
    ]);
  });

  it('says which dependency the lock file lacks', () => {
    const incomplete = { ...lock, 'node_modules/a': { dependencies: { missing: '1' } } };
    expect(() => productionPackages(incomplete, 'services/inference')).toThrow('node_modules/a needs missing');
  });
});

it.each([
  ['@koromix/koffi-linux-x64', 'musl_x64/koffi.node', false],
  ['@koromix/koffi-linux-x64', 'linux_x64/koffi.node', true],
  ['onnxruntime-node', 'bin/napi-v6/linux/arm64/libonnxruntime.so.1', true],
  ['onnxruntime-node', 'bin/napi-v6/linux/x64/libonnxruntime.so.1', false],
  ['onnxruntime-node', 'dist/index.js', false],
  ['yaml', 'dist/doc/Document.js', true],
  ['pino', 'docs/api.md', false],
  ['debug', 'src/index.js', true],
])('%s: %s is needed on a Linux of arm64 with glibc: %s', (name, file, isNeeded) => {
  expect(isNeededOf(name, file, { os: 'linux', architecture: 'arm64', isMusl: false })).toBe(isNeeded);
});
