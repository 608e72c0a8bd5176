/**
 * Opens what the engine runs on: a graph in ONNX Runtime, or the synthetic layout of the tests.
 * The spec is plain data, because it crosses into the engine's child process.
 */
import type { GraphSpec } from '@slipway/shared/contracts/manifest.ts';
import type { Layout } from './layout.ts';
import type { SyntheticSpec } from './synthetic-layout.ts';

export interface GraphLayoutSpec {
  readonly kind: 'graph';
  /** Folder that holds the version's files. */
  readonly folder: string;
  readonly graph: GraphSpec;
  readonly threads: number;
  readonly slots: number;
  /** At most the graph's own. */
  readonly contextLength: number;
}

export type LayoutSpec = GraphLayoutSpec | SyntheticSpec;

/** Rejects with an AppError when the files cannot be opened as the graph they claim to be. */
export async function openLayout(spec: LayoutSpec): Promise<Layout> {
  switch (spec.kind) {
    case 'synthetic':
      return (await import('./synthetic-layout.ts')).openSyntheticLayout(spec);
    case 'graph':
      switch (spec.graph.layout) {
        case 'shared-cache':
          return (await import('./shared-cache-layout.ts')).openSharedCacheLayout(spec);
        case 'standard':
          return (await import('./standard-layout.ts')).openStandardLayout(spec);
        case 'recurrent':
          return (await import('./recurrent-layout.ts')).openRecurrentLayout(spec);
      }
  }
}
