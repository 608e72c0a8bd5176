import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeDecoder } from '../../services/converter/architectures/find-architecture.ts';
import { buildVersion, writeTextFiles } from '../../services/converter/build-version.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { readGolden } from '../../services/converter/testing/golden.ts';

/** The little of @huggingface/transformers that is used here: it is installed for the benchmarks only, so its types are not at hand. */
interface TransformersJs {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly Tensor: new (type: 'int64', data: BigInt64Array, dims: number[]) => unknown;
  readonly AutoTokenizer: { from_pretrained(name: string): Promise<{ encode(text: string): number[] }> };
  readonly AutoModelForCausalLM: {
    from_pretrained(name: string): Promise<{
      generate(options: object): Promise<{ tolist(): bigint[][] }>;
      dispose(): Promise<unknown>;
    }>;
  };
}

function findTransformers(): string | undefined {
  const bench = fileURLToPath(new URL('../../bench/package.json', import.meta.url));
  if (!existsSync(bench)) return undefined;
  try {
    return createRequire(bench).resolve('@huggingface/transformers');
  } catch {
    return undefined;
  }
}

const installed = findTransformers();
const reason = installed ? '' : ' (skipped: @huggingface/transformers is installed by the first ./slipway bench)';

describe.skipIf(installed === undefined)(`the standard graph in transformers.js${reason}`, () => {
  let transformers: TransformersJs;
  let models: string;

  beforeAll(async () => {
    models = await mkdtemp(path.join(tmpdir(), 'slipway-transformers-js-'));
    transformers = (await import(pathToFileURL(installed ?? '').href)) as TransformersJs;
    transformers.env.allowRemoteModels = false;
    transformers.env.localModelPath = models;
  });

  afterAll(async () => rm(models, { recursive: true }));

  it.each([
    'llama-grouped-tied',
    'llama-one-kv-head',
    'llama-head-dim-8',
    'gpt2',
    'gpt2-dialogpt',
    'qwen2-window',
    'qwen3',
    'mistral-window',
    'phi',
    'phi3-window',
    'phi3-longrope',
    'gemma3',
    'gguf-llama-q8_0',
    'gguf-gpt2-q8_0',
  ] as const)('%s is loaded as it lies in a version and generates the tokens of PyTorch', async (name) => {
    const golden = await readGolden(name);
    const folder = await mkdtemp(path.join(models, 'version-'));
    const checkpoint = await openCheckpoint(golden.source);
    const spec = describeDecoder(checkpoint);
    await buildVersion(spec, 'fp32', folder);
    await writeTextFiles(folder, checkpoint.text, checkpoint.config, 'fp32');
    await checkpoint.close();

    const model = await transformers.AutoModelForCausalLM.from_pretrained(path.basename(folder));
    const row = (values: readonly number[]) =>
      new transformers.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    const output = await model.generate({
      inputs: row(golden.tokenIds),
      attention_mask: row(golden.tokenIds.map(() => 1)),
      max_new_tokens: golden.greedy.length,
      do_sample: false,
      // No such token: the golden continuation goes on past EOS.
      eos_token_id: -1,
    });
    expect(output.tolist()[0]?.map(Number)).toEqual([...golden.tokenIds, ...golden.greedy]);
    await model.dispose();
  });
});
