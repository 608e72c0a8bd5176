/**
 * A small version to publish in tests: three files and the manifest that names them. No runtime could load it.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { GraphSpec, Manifest } from '../../contracts/manifest.ts';
import type { Bucket, DraftManifest, Staging } from '../bucket.ts';

const GRAPH = {
  layers: 1,
  kv_heads: 1,
  head_dim: 8,
  vocab_size: 16,
  context_length: 32,
  cache_scales: null,
  uint8_path: null,
} as const satisfies Partial<GraphSpec>;

export function draftManifest(name: string): DraftManifest {
  return {
    schema: 1,
    name,
    source: { kind: 'test', label: 'test', files: [] },
    architecture: {
      family: 'llama',
      parameters: 1,
      hidden_size: 8,
      layers: 1,
      heads: 1,
      kv_heads: 1,
      head_dim: 8,
      intermediate_size: 8,
      vocab_size: 16,
      context_length: 32,
      tied_embedding: true,
    },
    precision: 'fp32',
    quantization: 'none',
    bits_per_weight: 32,
    graphs: {
      serving: { ...GRAPH, layout: 'shared-cache', path: 'serving.onnx' },
      standard: { ...GRAPH, layout: 'standard', path: 'onnx/model.onnx' },
    },
    weights: 'serving.onnx',
    text: { tokenizer: 'tokenizer.json', chat_template: null, bos_token_id: null, eos_token_ids: [], add_bos: false },
    parity: {
      max_logit_error: 0,
      kl_divergence: 0,
      top1_agreement: 1,
      perplexity: 1,
      perplexity_source: 1,
      tokens: 1,
      text: 'bundled',
      within_bounds: true,
    },
    drift_allowed: false,
  };
}

/** `content` ends up in the files, so that versions can be told apart; `extraFiles` makes publishing take longer. */
export async function writeDraftFiles(staging: Staging, content: string, extraFiles = 0): Promise<void> {
  const files = ['serving.onnx', 'onnx/model.onnx', 'tokenizer.json'];
  for (let index = 0; index < extraFiles; index++) files.push(`extra/${index}.bin`);
  for (const path of files) {
    await mkdir(dirname(join(staging.folder, path)), { recursive: true });
    await writeFile(join(staging.folder, path), `${path}: ${content}`);
  }
}

export async function publish(bucket: Bucket, name = 'tiny', content = 'content'): Promise<Manifest> {
  const staging = await bucket.stage(name);
  await writeDraftFiles(staging, content);
  return staging.publish(draftManifest(name));
}

export async function textOf(stream: Promise<Readable>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
