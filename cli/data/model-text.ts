/**
 * The tokenizer and template of what --model names: something at a path, or a version in the bucket. Knows neither's insides.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readTextSide } from '@slipway/converter/text-side';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { bucketOf } from '../models/bucket-option.ts';
import type { DataFlags } from './data-flags.ts';

/** Of a model whose configuration does not say it: enough for any example. */
const ANY_CONTEXT = 1 << 20;

/** AppError not_found when it is neither; invalid_source when it has no tokenizer. */
export async function modelText({ model, bucket }: Pick<DataFlags, 'bucket'> & { readonly model: string }) {
  if (await stat(model).catch(() => undefined)) {
    const { text, config } = await readTextSide(model);
    return {
      text,
      contextLength: config.contextLength ?? ANY_CONTEXT,
      vocabularySize: config.vocabularySize ?? ANY_CONTEXT,
    };
  }
  if (model.startsWith('.') || model.includes('/')) throw new AppError('not_found', `there is nothing at ${model}`);
  const versions = bucketOf(bucket === undefined ? {} : { bucket });
  const manifest = await versions.resolve(model);
  const folder = await versions.materialize(manifest);
  const { text } = await readTextSide(dirname(join(folder, manifest.text.tokenizer)));
  return {
    text: {
      ...text,
      bosTokenId: manifest.text.bos_token_id,
      eosTokenIds: manifest.text.eos_token_ids,
      addBos: manifest.text.add_bos,
    },
    contextLength: manifest.graphs.serving.context_length,
    vocabularySize: manifest.architecture.vocab_size,
  };
}
