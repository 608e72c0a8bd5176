/**
 * A checkpoint in another format than ours: a Hugging Face folder or a GGUF file. What was written is read back and must describe the
 * same model and the same text before it gets its name. Nothing half-written is ever seen.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { DecoderSpec } from './architectures/decoder-spec.ts';
import { describeDecoder, isLeftover } from './architectures/find-architecture.ts';
import { requireFinite } from './architectures/require-finite.ts';
import type { Checkpoint, SourceTensor, TensorFit } from './checkpoint.ts';
import { bundledText } from './parity/parity-gate.ts';
import { openCheckpoint } from './readers/open-checkpoint.ts';
import { requireFittingTokenizer } from './require-fitting-tokenizer.ts';
import { GGUF_PRECISIONS, writeGgufModel } from './writers/gguf-model.ts';
import { parseSize, type WrittenWeights, writeHuggingFaceFolder } from './writers/hugging-face-folder.ts';
import type { FloatType } from './writers/safetensors-file.ts';
import { differenceInSpec, differenceInText } from './writers/same-model.ts';
import { writeWhole } from './writers/whole-output.ts';
import type { WritingProgress } from './writers/writing-progress.ts';

export type ExportTarget = 'safetensors' | 'gguf';

/** What --precision may say beside auto. */
const SAFETENSORS_PRECISIONS = ['fp32', 'fp16', 'bf16'] as const;
const SAFETENSORS_TYPES: Readonly<Record<(typeof SAFETENSORS_PRECISIONS)[number], FloatType>> = {
  fp32: 'F32',
  fp16: 'F16',
  bf16: 'BF16',
};

export interface ExportOptions {
  /** A Hugging Face folder, a .gguf file or whatever else a reader reads. */
  readonly source: string;
  /** For a source that is weights alone: the folder of the model they belong to. */
  readonly base?: string;
  readonly target: ExportTarget;
  /** `auto`, or one of the target's own words. */
  readonly precision: string;
  /** The folder or file that is made; nothing may stand there. */
  readonly out: string;
  /** safetensors: `5GB`; above it, weights are split over several files. */
  readonly shardSize?: string;
  /** What it throws ends the work, and nothing of it stays. */
  readonly onProgress?: (phase: 'reading' | 'writing' | 'proving', part: number, done?: WritingProgress) => void;
}

export interface Exported extends WrittenWeights {
  readonly target: ExportTarget;
  readonly out: string;
  readonly precision: string;
  readonly seconds: number;
  /** Of this process. */
  readonly peakRssMib: number;
  /** For people: where the target's own programs will compute something else. */
  readonly notes: readonly string[];
  /** Only of weights over a base: how their names fitted its names. */
  readonly fit?: TensorFit;
}

/** AppError when the source cannot be read, the target cannot say it, or something stands at `out`. */
export async function exportCheckpoint(options: ExportOptions): Promise<Exported> {
  const { source, target, out } = options;
  const progress = options.onProgress ?? (() => {});
  const started = performance.now();
  progress('reading', 0);
  const { precision, write } = target === 'gguf' ? ggufWriter(options) : folderWriter(options);
  return writeWhole(out, async (passing) => {
    const checkpoint = await openCheckpoint(source, options.base);
    try {
      const spec = describeDecoder(checkpoint);
      requireFittingTokenizer(checkpoint, spec.vocabSize);
      const tied = spec.head === null || checkpoint.config.tie_word_embeddings === true;
      const tensors = modelTensors(checkpoint, tied);
      progress('writing', 0);
      const onProgress = (done: WritingProgress) => progress('writing', done.bytes / done.totalBytes, done);
      const written = await write({ passing, checkpoint, spec, tensors, tied, onProgress });
      progress('proving', 0);
      await requireSame(passing, checkpoint, spec);
      return {
        ...written,
        ...(checkpoint.fit && { fit: checkpoint.fit }),
        target,
        out,
        precision,
        seconds: (performance.now() - started) / 1000,
        peakRssMib: process.resourceUsage().maxRSS / 1024,
      };
    } finally {
      await checkpoint.close();
    }
  });
}

interface Work {
  readonly passing: string;
  readonly checkpoint: Checkpoint;
  readonly spec: DecoderSpec;
  /** Those that belong to the model. */
  readonly tensors: readonly SourceTensor[];
  readonly tied: boolean;
  readonly onProgress: (done: WritingProgress) => void;
}

interface Writer {
  readonly precision: string;
  readonly write: (work: Work) => Promise<WrittenWeights & { readonly notes: readonly string[] }>;
}

function ggufWriter(options: ExportOptions): Writer {
  const precision = options.precision === 'auto' ? 'f16' : chosen(GGUF_PRECISIONS, options);
  return {
    precision,
    write: ({ passing, checkpoint, spec, tensors, onProgress }) =>
      writeGgufModel(passing, checkpoint, spec, tensors, precision, onProgress),
  };
}

function folderWriter(options: ExportOptions): Writer {
  const shardBytes = parseSize(options.shardSize ?? '50GB');
  const precision = options.precision === 'auto' ? 'source' : chosen(SAFETENSORS_PRECISIONS, options);
  const type = precision === 'source' ? precision : SAFETENSORS_TYPES[precision];
  return {
    precision,
    write: async ({ passing, checkpoint, tensors, tied, onProgress }) => ({
      ...(await writeHuggingFaceFolder(passing, checkpoint, tensors, { type, tied, shardBytes, onProgress })),
      notes: [],
    }),
  };
}

/** AppError invalid_field names what the target knows. */
function chosen<T extends string>(known: readonly T[], { precision, target }: ExportOptions): T {
  const found = known.find((one) => one === precision);
  if (found !== undefined) return found;
  throw new AppError(
    'invalid_field',
    `--precision ${precision} is none that ${target} has; it has ${known.join(', ')}`,
  );
}

/** Without computed tables, masks and a tied head's copy. */
function modelTensors({ tensors, label }: Checkpoint, tied: boolean): SourceTensor[] {
  return [...tensors.values()]
    .filter(({ name }) => !isLeftover(name) || (name === 'lm_head.weight' && !tied))
    .map((tensor) => requireFinite(tensor, label));
}

/** Opens what was written with our own reader: the same architecture, sizes, rotary angles and text, or AppError parity_failed. */
async function requireSame(written: string, source: Checkpoint, spec: DecoderSpec): Promise<void> {
  const copy = await openCheckpoint(written);
  try {
    const fault =
      (await differenceInSpec(spec, describeDecoder(copy))) ??
      differenceInText(source.text, copy.text, (await bundledText()).passages);
    if (fault === undefined) return;
    throw new AppError(
      'parity_failed',
      `${source.label}: read back, the result is another model: ${fault}. Nothing was written; this target cannot hold this model.`,
    );
  } finally {
    await copy.close();
  }
}
