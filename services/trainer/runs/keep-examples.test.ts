import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { expect, it, onTestFinished } from 'vitest';
import { describeExamples, keepExamples } from './keep-examples.ts';

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

function prepared(sides: { readonly train: string; readonly validation: string | null }) {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-examples-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const write = (side: string, text: string) => {
    mkdirSync(join(folder, side));
    writeFileSync(join(folder, side, 'examples.jsonl'), text);
    const dataset = {
      ...{ schema: 1, kind: 'examples', dtype: 'uint16', tokens: 1, examples: 1, supervised_tokens: 1 },
      ...{ vocabulary_size: 2, max_length: 8, truncated: 0, sha256: { 'examples.jsonl': hashOf(text) } },
      source: { format: 'text', template: 'model', template_sha256: null, tokenizer_sha256: '', seed: 1, files: [] },
    };
    writeFileSync(join(folder, side, 'dataset.json'), JSON.stringify(dataset));
    return join(folder, side);
  };
  const train = write('train', sides.train);
  const validation = sides.validation === null ? null : write('validation', sides.validation);
  return { folder, bucket: openBucket(join(folder, 'bucket')), data: { train, validation, verify: [] } };
}

it('keeps each side once under its sha256, and what is larger than wanted not at all', async () => {
  const { folder, bucket, data } = prepared({ train: '{"text":"a"}\n', validation: '{"text":"b"}\n' });
  const examples = await describeExamples(data);
  expect(examples).toEqual([
    { name: 'train/examples.jsonl', bytes: 13, sha256: hashOf('{"text":"a"}\n') },
    { name: 'validation/examples.jsonl', bytes: 13, sha256: hashOf('{"text":"b"}\n') },
  ]);
  const keep = (limit: number) => keepExamples(bucket, data, examples, limit, join(folder, 'scratch'));
  await keep(25);
  expect(await bucket.fileSets('')).toEqual([]);
  await keep(26);
  await keep(26);
  expect(await bucket.fileSets('data/')).toEqual(examples.map(({ sha256 }) => `data/${sha256}`).sort());
  await bucket.fetchFiles(`data/${examples[0]?.sha256}`, join(folder, 'fetched'));
  expect(readFileSync(join(folder, 'fetched/examples.jsonl'), 'utf8')).toBe('{"text":"a"}\n');
});

it('does not keep what has changed since it was prepared', async () => {
  const { folder, bucket, data } = prepared({ train: '{"text":"a"}\n', validation: null });
  const examples = await describeExamples(data);
  writeFileSync(join(data.train, 'examples.jsonl'), '{"text":"c"}\n');
  const kept = keepExamples(bucket, data, examples, 1000, join(folder, 'scratch'));
  await expect(kept).rejects.toMatchObject({ code: 'invalid_source' });
  expect(await bucket.fileSets('')).toEqual([]);
});
