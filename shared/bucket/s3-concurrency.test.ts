/**
 * Publishers and collectors on one S3 bucket who meet at any of their steps.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../contracts/manifest.ts';
import type { Bucket } from './bucket.ts';
import { openS3Bucket } from './s3.ts';
import { draftManifest, writeDraftFiles } from './testing/draft.ts';
import { type FaultProxy, startFaultProxy } from './testing/fault-proxy.ts';
import { startS3Server } from './testing/s3-server.ts';

const server = await startS3Server();
const scratch = await mkdtemp(join(tmpdir(), 'slipway-s3-races-'));
let caches = 0;

function open(endpoint: string, prefix: string): Bucket {
  const environment = { ...process.env, SLIPWAY_CACHE_DIR: join(scratch, `cache-${caches++}`) };
  const times = { leaseMs: 60_000, deletingMs: 5000, pollMs: 10 };
  return openS3Bucket(`s3://slipway/${prefix}?endpoint=${endpoint}`, { environment, times });
}

async function publish(bucket: Bucket, content: string, name = 'tiny') {
  const staging = await bucket.stage(name);
  await writeDraftFiles(staging, content);
  return staging.publish(draftManifest(name));
}

if (typeof server === 'string') {
  describe('races on S3', () => it.skip(`are not tested: ${server}`));
} else {
  const { endpoint, root } = server;
  let proxy: FaultProxy;
  let other: FaultProxy;
  beforeAll(async () => {
    proxy = await startFaultProxy(endpoint);
    other = await startFaultProxy(endpoint);
  });
  afterAll(async () => {
    await other.stop();
    await proxy.stop();
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  /** `first` stops before its request number `step` until `second` has ended, or has waited for it; false: it has not so many. */
  async function meet(step: number, first: () => Promise<unknown>, second: () => Promise<unknown>): Promise<boolean> {
    let meeting: Promise<unknown> | undefined;
    proxy.restart();
    proxy.before = async ({ number }) => {
      if (number !== step) return undefined;
      meeting = second();
      await Promise.race([meeting.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 250))]);
      return undefined;
    };
    await first();
    await meeting;
    return meeting !== undefined;
  }

  describe('a publisher of blobs that nobody names any more and a collector', () => {
    // The content of `gone` was published before and removed, so that its blobs are there and can be collected.
    beforeAll(async () => {
      const bucket = open(endpoint, 'rubbish');
      await publish(bucket, 'kept');
      await publish(bucket, 'gone');
      await bucket.remove('tiny', 'v002');
    });

    it.each([
      ['collector comes between any two steps of the publisher', true],
      ['publisher comes between any two steps of the collector', false],
    ])('lose nothing when the %s', async (_, publisherFirst) => {
      for (let step = 0; ; step++) {
        const prefix = `meet-${publisherFirst}-${step}`;
        await cp(join(root, 'slipway/rubbish'), join(root, 'slipway', prefix), { recursive: true });
        const [slow, quick] = [open(proxy.endpoint, prefix), open(endpoint, prefix)];
        const collected = () => (publisherFirst ? quick : slow).collect({ graceMs: 0 });
        const published = () => publish(publisherFirst ? slow : quick, 'gone');
        const met = publisherFirst ? await meet(step, published, collected) : await meet(step, collected, published);
        if (!met) break;
        // With a cache of its own, so that all of it comes from the server.
        const bucket = open(endpoint, prefix);
        const manifest = await bucket.resolve('tiny');
        expect(manifest.version, `step ${step}`).toBe('v003');
        await bucket.materialize(manifest);
        expect(step).toBeLessThan(100);
      }
    });

    it('lose nothing when the publisher comes just before a collection, and writes its manifest at any later step', async () => {
      for (let step = 0; ; step++) {
        const prefix = `late-${step}`;
        await cp(join(root, 'slipway/rubbish'), join(root, 'slipway', prefix), { recursive: true });
        const waiting = Promise.withResolvers<void>();
        const goOn = Promise.withResolvers<void>();
        other.before = async ({ method, url }) => {
          if (method !== 'PUT' || !url.includes('/manifests/')) return undefined;
          waiting.resolve();
          await goOn.promise;
          return undefined;
        };
        let published: Promise<Manifest> | undefined;
        let left = step;
        proxy.before = async ({ method, url }) => {
          if (published === undefined && method === 'PUT' && url.includes('/collections/')) {
            published = publish(open(other.endpoint, prefix), 'gone');
            await waiting.promise;
          } else if (published !== undefined && left-- === 0) {
            goOn.resolve();
            await published;
          }
          return undefined;
        };
        await open(proxy.endpoint, prefix).collect({ graceMs: 0 });
        goOn.resolve();
        const manifest = await published;
        if (manifest === undefined) throw new Error('nothing was collected');
        await open(endpoint, prefix).materialize(manifest);
        if (left >= 0) break;
      }
    });
  });

  it('four publishers who share nothing but the bucket take one version each', async () => {
    const takenBy = async (content: string) => {
      const bucket = open(endpoint, 'four');
      const taken: string[] = [];
      for (const round of [1, 2]) taken.push((await publish(bucket, `${content} ${round}`)).version);
      return taken;
    };
    const taken = (await Promise.all(['a', 'b', 'c', 'd'].map(takenBy))).flat();
    const all = Array.from({ length: 8 }, (_, index) => `v00${index + 1}`);
    expect(taken.sort()).toEqual(all);
    const bucket = open(endpoint, 'four');
    expect(await bucket.versions('tiny')).toEqual(all);
    for (const version of all) await bucket.materialize(await bucket.resolve(`tiny@${version}`));
  });

  it('an unchanged model is published again without sending a byte', async () => {
    const first = await publish(open(endpoint, 'again'), 'same');
    proxy.restart();
    proxy.before = () => undefined;
    expect(await publish(open(proxy.endpoint, 'again'), 'same')).toEqual(first);
    expect(proxy.seen.length).toBeGreaterThan(0);
    expect(proxy.seen.filter(({ method, bytes }) => bytes > 0 || !['GET', 'HEAD'].includes(method))).toEqual([]);
  });

  it('blobs that are there are not sent again with another version', async () => {
    await publish(open(endpoint, 'partly'), 'same');
    proxy.restart();
    proxy.before = () => undefined;
    const bucket = open(proxy.endpoint, 'partly');
    const staging = await bucket.stage('tiny');
    await writeDraftFiles(staging, 'same', 1);
    expect((await staging.publish(draftManifest('tiny'))).version).toBe('v002');
    const sent = proxy.seen.filter(({ method, url }) => method === 'PUT' && url.includes('/blobs/'));
    expect(sent).toHaveLength(1);
  });
}
