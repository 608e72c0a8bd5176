/**
 * A model from nothing and a tuning of it, both asked for over HTTP and trained by the real kernel. Skipped where Python has not been set up.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { findKernelEnvironment } from '@slipway/trainer/kernel-environment';
import OpenAI, { toFile } from 'openai';
import { expect, it, onTestFinished } from 'vitest';
import { startTrainer } from '../../services/trainer/http/service.ts';
import { trainerStages } from '../../services/trainer/runs/trainer-stages.ts';
import { readFeed } from './testing/read-feed.ts';
import { ask, configOf, newFolders, post } from './testing/test-trainer.ts';

const isMissing = (await findKernelEnvironment(process.env)) === undefined;
const why = isMissing ? ' (./slipway setup trainer has not been run)' : '';

const NUMBERS = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const chats = (answer: string) =>
  NUMBERS.flatMap((a) => NUMBERS.map((b) => ({ a, b })))
    .map(({ a, b }) => ({
      messages: [
        { role: 'user', content: `say ${a} and ${b}` },
        { role: 'assistant', content: `${a} and ${b}, ${answer}` },
      ],
    }))
    .map((one) => `${JSON.stringify(one)}\n`)
    .join('');

it.skipIf(isMissing)(`trains, publishes and tunes with the real kernel${why}`, { timeout: 30 * 60_000 }, async () => {
  const folders = newFolders();
  const config = configOf(folders);
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  const trainer = await startTrainer({ config, log, stages: trainerStages(config.dataFolder) });
  onTestFinished(() => trainer.close());
  const client = new OpenAI({ baseURL: `${trainer.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const send = async (text: string) =>
    (await client.files.create({ file: await toFile(Buffer.from(text), 'chats.jsonl'), purpose: 'fine-tune' })).id;

  const recipe = {
    name: 'tiny',
    model: { scratch: { family: 'gpt2', layers: 1, heads: 2, hidden_size: 32, context_length: 64 } },
    tokenizer: { kind: 'bpe', vocabulary_size: 300 },
    data: { train: await send(chats('sir')), template: 'chatml' },
    training: { max_steps: 20, batch_size: 8, log_every: 5, device: 'cpu' },
  };
  const { id } = (await post(trainer.url, '/runs/train', JSON.stringify(recipe))).body;
  const { events } = await readFeed(`${trainer.url}/runs/${id}/events`);
  expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject({
    type: 'trainer.job.completed.v1',
    data: { published: ['tiny@v001'] },
  });
  expect((await ask(trainer.url, `/runs/${id}`)).body.trained.step).toBe(20);

  const job = await client.fineTuning.jobs.create({
    model: 'tiny@v001',
    training_file: await send(chats('madam')),
    hyperparameters: { n_epochs: 1, batch_size: 8 },
    suffix: 'polite',
  });
  let now = job;
  while (!['succeeded', 'failed', 'cancelled'].includes(now.status)) {
    await sleep(500);
    now = await client.fineTuning.jobs.retrieve(job.id);
  }
  expect(now.error).toBeNull();
  expect(now).toMatchObject({ status: 'succeeded', fine_tuned_model: 'tiny-polite@v001' });
  expect(now.trained_tokens).toBeGreaterThan(0);
  const page = await client.fineTuning.jobs.checkpoints.list(job.id);
  expect(page.data.length).toBeGreaterThan(0);
  const manifest = await openBucket(join(folders.root, 'bucket')).resolve('tiny-polite@v001');
  expect(manifest.lineage).toMatchObject({ run: job.id, parent: 'tiny@v001' });
});
