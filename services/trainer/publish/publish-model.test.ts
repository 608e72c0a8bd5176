/** A trained model's folder as versions, however often publishing is begun again: a golden checkpoint, with PyTorch as its trainer. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import { expect, it, onTestFinished } from 'vitest';
import { type PublishRequest, publishModel } from './publish-model.ts';

const GOLDEN = resolve(import.meta.dirname, '../../../tests/fixtures/golden/gpt2');

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-publish-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** logits.0 of the golden passage, as a kernel writes it. */
function writeLogits(folder: string, tokens: number, vocabulary: number): string {
  const data = readFileSync(join(GOLDEN, 'logits.f32'));
  const shape = [tokens, vocabulary];
  const header = Buffer.from(JSON.stringify({ 'logits.0': { dtype: 'F32', shape, data_offsets: [0, data.length] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = join(folder, 'logits.safetensors');
  writeFileSync(file, Buffer.concat([length, header, data]));
  return file;
}

function requestFor(
  run: string,
  bucketUrl: string,
  published: Manifest[],
  change: Partial<PublishRequest> = {},
): PublishRequest {
  const { source, token_ids, vocab, greedy } = JSON.parse(readFileSync(join(GOLDEN, 'golden.json'), 'utf8'));
  return {
    model: join(GOLDEN, source),
    name: 'plays',
    description: 'plays',
    precisions: ['fp32', 'fp16'],
    alias: 'champion',
    bucketUrl,
    lineage: { run, seeds: { training: 1 } },
    trained: {
      passages: [token_ids],
      logitsFile: writeLogits(scratch(), token_ids.length, vocab),
      greedy: [{ prompt: token_ids, ids: greedy }],
    },
    signal: new AbortController().signal,
    onProgress: () => {},
    onPublished: async (manifest) => {
      published.push(manifest);
    },
    ...change,
  };
}

it('publishes each precision once for a run, and moves the alias to the last', async () => {
  const bucketUrl = scratch();
  const bucket = openBucket(bucketUrl);
  const published: Manifest[] = [];
  const killed = new Error('killed');
  // Killed between the publication and writing it down.
  const request = requestFor('run-1', bucketUrl, published, { onPublished: () => Promise.reject(killed) });
  await expect(publishModel(request)).rejects.toBe(killed);
  for (let time = 0; time < 2; time++) await publishModel(requestFor('run-1', bucketUrl, published));
  expect(published.map(({ version, precision }) => `${version} ${precision}`)).toEqual([
    'v001 fp32',
    'v002 fp16',
    'v001 fp32',
    'v002 fp16',
  ]);
  expect(await bucket.resolve('plays')).toMatchObject({
    version: 'v002',
    description: 'plays',
    source: { label: 'run-1' },
    lineage: { run: 'run-1', seeds: { training: 1 } },
  });
  await publishModel(requestFor('run-2', bucketUrl, published, { precisions: ['fp32'], alias: null }));
  expect(await bucket.versions('plays')).toEqual(['v001', 'v002', 'v003']);
  expect((await bucket.aliases('plays')).get('champion')).toBe('v002');
  // Somebody did not like it, before its worker, which was killed, is begun again.
  await bucket.setAlias('plays', 'champion', 'v001');
  await publishModel(requestFor('run-1', bucketUrl, published));
  expect((await bucket.aliases('plays')).get('champion')).toBe('v001');
});

it('stops when the run is to stop, and leaves nothing behind', async () => {
  const bucketUrl = scratch();
  const stop = new AbortController();
  const request = requestFor('run-1', bucketUrl, [], {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('paused')),
  });
  await expect(publishModel(request)).rejects.toThrow('paused');
  expect(await openBucket(bucketUrl).models()).toEqual([]);
});
