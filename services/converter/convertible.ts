/**
 * A model as a conversion sees it, whatever it computes: its sizes, the precisions there are for it, and how it is built. The one place
 * that tells transformer decoders and recurrent models apart.
 */
import { type Manifest, type Precision, UNBOUNDED_CONTEXT } from '@slipway/shared/contracts/manifest.ts';
import { type DecoderSpec, describePositions, parameterCount } from './architectures/decoder-spec.ts';
import { describeModel } from './architectures/find-architecture.ts';
import { type RecurrentSpec, recurrentParameterCount } from './architectures/recurrent-spec.ts';
import { buildRecurrent, recurrentPrecision } from './build-recurrent.ts';
import { type BuildOptions, type BuiltVersion, buildVersion, limitContext } from './build-version.ts';
import type { Checkpoint } from './checkpoint.ts';
import { choosePrecision } from './precision.ts';
import { requireFittingTokenizer } from './require-fitting-tokenizer.ts';

export interface Convertible {
  readonly contextLength: number;
  readonly parameters: number;
  readonly architecture: Manifest['architecture'];
  /** What is asked for, or for `auto` what fits the model, with the reason. AppError when there is no such precision of it. */
  choosePrecision(asked: Precision | 'auto'): { precision: Precision; reason: string };
  /** Weights and graphs in an empty folder. */
  build(precision: Precision, folder: string, options?: BuildOptions): Promise<BuiltVersion>;
}

/** AppError when the architecture is not known, or the checkpoint is not what its configuration says. */
export function describeConvertible(checkpoint: Checkpoint): Convertible {
  const spec = describeModel(checkpoint);
  requireFittingTokenizer(checkpoint, spec.vocabSize);
  return 'cells' in spec ? recurrent(spec) : decoder(limitContext(spec));
}

function decoder(spec: DecoderSpec): Convertible {
  const parameters = parameterCount(spec);
  return {
    contextLength: spec.contextLength,
    parameters,
    architecture: {
      family: spec.family,
      parameters,
      hidden_size: spec.hiddenSize,
      layers: spec.layers.length,
      heads: spec.heads,
      kv_heads: spec.kvHeads,
      head_dim: spec.headDim,
      intermediate_size: spec.intermediateSize,
      vocab_size: spec.vocabSize,
      context_length: spec.contextLength,
      positions: describePositions(spec),
      tied_embedding: spec.head === null,
    },
    choosePrecision: (asked) => (asked === 'auto' ? choosePrecision(parameters) : { precision: asked, reason: '' }),
    build: (precision, folder, options) => buildVersion(spec, precision, folder, options),
  };
}

function recurrent(spec: RecurrentSpec): Convertible {
  const parameters = recurrentParameterCount(spec);
  return {
    contextLength: UNBOUNDED_CONTEXT,
    parameters,
    architecture: {
      family: spec.family,
      parameters,
      hidden_size: spec.hiddenSize,
      layers: spec.cells.length,
      vocab_size: spec.vocabSize,
      context_length: UNBOUNDED_CONTEXT,
      tied_embedding: spec.head.weight === spec.embedding,
    },
    choosePrecision: (asked) => recurrentPrecision(spec, asked),
    build: (precision, folder, options) => buildRecurrent(spec, precision, folder, options),
  };
}
