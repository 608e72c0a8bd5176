/**
 * Who competes: our engine on each version, our HTTP service, and the peers with every setting worth trying. Knows how each is
 * started, not what is measured.
 */
import { basename, resolve } from 'node:path';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import { type Performance, start, type Task } from './contestant.ts';
import { quantizedByLlamaCpp } from './llama-cpp-quantize.ts';
import type { Entry } from './rounds.ts';

export interface Version {
  readonly reference: string;
  readonly manifest: Manifest;
  readonly folder: string;
}

export interface Field {
  readonly versions: readonly Version[];
  /** GGUF files for node-llama-cpp. */
  readonly ggufs: readonly string[];
  readonly peers: ReadonlySet<Peer>;
  readonly threads: number;
}

export const PEERS = ['node-llama-cpp', 'transformers-js'] as const;
export type Peer = (typeof PEERS)[number];

/** One run of a figure for one contestant: it may give it several tasks. */
export type Measure = (perform: (task: Task) => Promise<Performance>) => Promise<Readonly<Record<string, number>>>;

export function engineEntries({ versions, threads }: Field, measure: Measure): Entry[] {
  return versions.map(({ reference, manifest }) => ({
    name: 'slipway',
    variant: `${reference}, ${manifest.precision}`,
    isPeer: false,
    run: () => measure((task) => start('slipway-engine.ts', { model: reference, threads, task })),
  }));
}

/** The same engine decoding token by token. */
export function plainEngineEntries({ versions, threads }: Field, measure: Measure): Entry[] {
  return versions.map(({ reference, manifest }) => ({
    name: 'slipway without guesses',
    variant: `${reference}, ${manifest.precision}`,
    isPeer: false,
    run: () => measure((task) => start('slipway-engine.ts', { model: reference, threads, task, withoutGuesses: true })),
  }));
}

export function httpEntries({ versions, threads }: Field, measure: Measure): Entry[] {
  return versions.map(({ reference, manifest }) => ({
    name: 'slipway over HTTP',
    variant: `${reference}, ${manifest.precision}`,
    isPeer: false,
    run: () => measure((task) => start('slipway-http.ts', { model: reference, threads, task })),
  }));
}

export function peerEntries({ versions, ggufs, peers, threads }: Field, measure: Measure): Entry[] {
  const entries: Entry[] = [];
  if (peers.has('node-llama-cpp')) {
    for (const file of ggufs) {
      // llama.cpp's threads wait for each other in a loop; with few cores one thread can be the faster setting.
      for (const count of new Set([1, threads])) {
        entries.push({
          name: 'node-llama-cpp',
          variant: `${basename(file)}, ${count} ${count === 1 ? 'thread' : 'threads'}`,
          isPeer: true,
          run: () => measure((task) => start('node-llama-cpp.ts', { model: file, threads: count, task })),
        });
      }
    }
  }
  if (peers.has('transformers-js')) {
    for (const { reference, manifest, folder } of versions) {
      entries.push({
        name: 'transformers.js',
        variant: `standard graph of ${reference}, ${manifest.precision}`,
        isPeer: true,
        run: () => measure((task) => start('transformers-js.ts', { model: folder, threads, task })),
      });
    }
  }
  return entries;
}

/** The files given and a Q4_0 version of each, which llama.cpp runs fastest. The peers must be installed. */
export function withQ4_0(files: readonly string[], tell: (line: string) => void): string[] {
  return [...new Set(files.flatMap((file) => [resolve(file), quantizedByLlamaCpp(file, 'Q4_0', tell)]))];
}
