/** From a recipe to an answer over HTTP, by one command and with the real kernel: what was trained is what is served. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startInferenceService } from '@slipway/inference/serve';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { type LoggedEvent, runFolder } from '@slipway/trainer/runs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { kernelMissing, lossCurve, newTrainPlace, TINY, TINY_GPT2, type TrainPlace } from './testing/train-command.ts';

const LONG = { timeout: 30 * 60_000 };

/** What the service answers to a prompt, greedily. */
async function served(
  { bucketUrl, dataFolder }: TrainPlace,
  model: string,
  prompt: string,
  tokens: number,
): Promise<number[]> {
  const config = await loadServiceConfig({
    path: null,
    flags: { port: 0, host: '127.0.0.1', bucketUrl, dataFolder, model, threads: 1 },
  });
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  const service = await startInferenceService(config, log);
  onTestFinished(() => service.close());
  await service.loaded;
  const response = await fetch(`${service.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt, max_new_tokens: tokens, temperature: 0 }),
  });
  const Answer = z.object({ outputs: z.array(z.object({ token_ids: z.array(z.number()) })) });
  return Answer.parse(await response.json()).outputs[0]?.token_ids ?? [];
}

/** The kernel's own greedy answer of the trained model: the last sample. */
function lastSample(events: readonly LoggedEvent[]) {
  const sample = events.findLast((event) => event.type === 'sample');
  if (sample?.type !== 'sample') throw new Error('there is no sample');
  return sample;
}

/** What the published versions have answered to the recipe's prompts. */
function samplesOf(file: string) {
  const Sample = z.object({
    version: z.string(),
    prompt: z.string(),
    prompt_ids: z.array(z.number()),
    text: z.string(),
  });
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => Sample.parse(JSON.parse(line)));
}

describe.skipIf(kernelMissing)(`slipway train${kernelMissing}`, LONG, () => {
  it.each([
    ['a gpt2', TINY_GPT2],
    [
      'a char-lstm',
      [
        'recipes/shakespeare-char-lstm.yaml',
        ...TINY,
        '--set',
        'model.scratch={family: char-lstm, layers: 1, embedding_size: 16, hidden_size: 32}',
        '--set',
        'training.sequence_length=32',
      ],
    ],
    [
      'a llama',
      [
        ...TINY_GPT2,
        '--set',
        'model.scratch={family: llama, layers: 1, heads: 4, kv_heads: 2, hidden_size: 64, context_length: 64}',
      ],
    ],
    [
      'a qwen3 in two precisions',
      [
        ...TINY_GPT2,
        '--set',
        'model.scratch={family: qwen3, layers: 1, heads: 4, kv_heads: 2, hidden_size: 64, context_length: 64, tie_embeddings: false}',
        '--set',
        'publish.precision=[fp32, fp16]',
      ],
    ],
  ])('makes %s that answers over HTTP with the tokens its trainer gives', async (_, args) => {
    const place = await newTrainPlace();
    const { code, stdout, stderr } = await place.slipway(['train', ...args, '--follow', '--name', 'tiny', '--json']);
    expect(stderr).toBe('');
    const outcome = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    expect(outcome).toMatchObject({ event: 'outcome', state: 'succeeded' });
    expect(code).toBe(0);

    const run = await place.run();
    const manifest = await openBucket(place.bucketUrl).resolve('tiny@v001');
    expect(manifest.lineage).toMatchObject({
      run: run.id,
      seeds: { training: 1 },
      config: { name: expect.stringContaining('shakespeare') },
      data: [
        { name: 'tinyshakespeare.txt', sha256: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed' },
      ],
      training: { steps: 12, loss: expect.any(Number), validation_loss: expect.any(Number) },
    });
    expect(Object.keys(manifest.lineage?.libraries ?? {})).toEqual(
      expect.arrayContaining(['torch', 'transformers', 'python']),
    );
    expect(manifest.parity.trained?.greedy_tokens).toBeGreaterThan(16);

    const sample = lastSample(place.events(run.id));
    const folder = runFolder(place.dataFolder, run.id).tokenizer;
    const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
    const tokenizer = loadTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
    const prompt = tokenizer.decode(sample.prompt);
    expect(sample.prompt_text).toBe(prompt);
    expect(prompt + sample.text).toBe(tokenizer.decode([...sample.prompt, ...sample.ids]));
    expect(await served(place, 'tiny@v001', prompt, sample.ids.length)).toEqual(sample.ids);

    const asked = run.recipe.evaluation.prompts.flatMap((text) => run.published.map((version) => ({ version, text })));
    const samples = samplesOf(runFolder(place.dataFolder, run.id).samples);
    expect(samples).toHaveLength(asked.length);
    expect(samples.filter(({ version }) => version === 'tiny@v001').at(-1)).toMatchObject({
      prompt,
      prompt_ids: sample.prompt,
      text: tokenizer.decode([...sample.prompt, ...sample.ids]).slice(prompt.length),
    });
  });

  it('pauses at Ctrl-C with what it has learnt, and goes on to the same end', async () => {
    const undisturbed = await newTrainPlace();
    await undisturbed.slipway(['train', ...TINY_GPT2, '--follow', '--json']);
    const whole = await undisturbed.run();
    const place = await newTrainPlace();
    const bucket = join(place.dataFolder, 'elsewhere');
    const paused = await place.slipway(['train', ...TINY_GPT2, '--follow', '--bucket', bucket], async (child) => {
      const { id } = await place.run();
      while (!place.events(id).some((event) => event.type === 'progress' && event.step >= 4)) await sleep(20);
      child.kill('SIGINT');
    });
    expect(paused).toMatchObject({ code: 130 });
    const { id, state, checkpoint_step } = await place.run();
    expect(state).toBe('paused');
    expect(paused.stdout).toContain(
      `is paused at step ${checkpoint_step}. Go on: slipway train --resume ${id} --follow`,
    );
    const resumed = await place.slipway(['train', '--resume', id, '--follow']);
    expect(resumed).toMatchObject({ code: 0 });
    // Not what was told before.
    expect(resumed.stdout).toMatch(RegExp(`^queued: waits for its turn, to go on from step ${checkpoint_step}\n`));
    expect(resumed.stdout).not.toMatch(/^step 1\//m);
    expect(paused.stdout).toMatch(/^step 1\//m);
    expect(resumed.stdout).toContain(`Serve it: slipway serve shakespeare-gpt2@v001 --bucket ${bucket}\n`);
    expect(lossCurve(place.events(id))).toEqual(lossCurve(undisturbed.events(whole.id)));
    const hashes = await Promise.all(
      [bucket, undisturbed.bucketUrl].map(
        async (bucketUrl) =>
          (await openBucket(bucketUrl).resolve('shakespeare-gpt2')).files.find(({ path }) => path.endsWith('_data'))
            ?.sha256,
      ),
    );
    expect(hashes[0]).toBe(hashes[1]);
  });

  it('tells data that cannot be trained on, and exits with 2', async () => {
    const place = await newTrainPlace();
    const args = ['train', ...TINY_GPT2, '--set', 'data.train=docs/evaluation/report-light.png', '--follow', '--json'];
    const { code, stdout } = await place.slipway(args);
    expect(code).toBe(2);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      state: 'failed',
      failure: { class: 'user_input', message: expect.stringContaining('report-light.png is binary') },
    });
  });
});

describe('slipway train', () => {
  it('checks a recipe without running it', async () => {
    const place = await newTrainPlace();
    expect(await place.slipway(['train', 'recipes/shakespeare-gpt2.yaml', '--check'])).toMatchObject({
      code: 0,
      stdout: 'recipes/shakespeare-gpt2.yaml is sound\n',
    });
    const wrong = await place.slipway([
      'train',
      'recipes/shakespeare-gpt2.yaml',
      '--check',
      '--set',
      'training.learning_rat=1',
    ]);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain('--set training.learning_rat is not known; did you mean learning_rate?');
    const noBase = await place.slipway([
      'train',
      'recipes/lora-chat-smollm2.yaml',
      '--check',
      '--set',
      'model.base=./nowhere',
    ]);
    expect(noBase).toMatchObject({ code: 2 });
    const noData = await place.slipway([
      ...['train', 'recipes/shakespeare-gpt2.yaml', '--check'],
      ...['--set', 'data.train=nowhere.txt'],
    ]);
    expect(noData).toMatchObject({ code: 2, stderr: expect.stringContaining('data.train: there is nothing at') });
    expect(noBase.stderr).toContain('--set model.base=FOLDER');
  });

  it('refuses a bucket that cannot be published to before anything is trained', async () => {
    const place = await newTrainPlace();
    const file = join(place.dataFolder, 'file');
    writeFileSync(file, '');
    for (const bucket of [file, 's3://nobody?endpoint=http://127.0.0.1:9']) {
      const { code, stderr } = await place.slipway(['train', 'recipes/shakespeare-gpt2.yaml', '--bucket', bucket]);
      expect(code).toBeGreaterThan(0);
      expect(stderr).toMatch(bucket === file ? `'${file}` : '127.0.0.1:9');
      expect(await place.slipway(['runs', 'list', '--json'])).toMatchObject({ stdout: '{"runs":[]}\n' });
    }
  });

  it('queues a run and says how to follow it; one that waits is cancelled at once', async () => {
    const place = await newTrainPlace();
    const { code, stdout } = await place.slipway(['train', 'recipes/shakespeare-gpt2.yaml']);
    expect(code).toBe(0);
    const { id } = await place.run();
    expect(stdout).toContain(`slipway runs show ${id} --follow`);
    expect((await place.slipway(['runs', 'list'])).stdout).toContain(`${id}  shakespeare-gpt2  queued`);
    expect(await place.slipway(['runs', 'cancel', id])).toMatchObject({ code: 0, stdout: `${id} is cancelled\n` });
    expect((await place.slipway(['runs', 'show', id])).stdout).toMatch(/^ {2}state +cancelled: /m);
    expect(await place.slipway(['runs', 'resume', id])).toMatchObject({ code: 2 });
    const changed = await place.slipway(['train', '--resume', id, '--set', 'training.max_steps=5']);
    expect(changed).toMatchObject({ code: 2, stderr: expect.stringContaining('give no recipe, --set or --name') });
    expect(await place.slipway(['runs', 'pause', 'run-20260131-140507-1a2b3c'])).toMatchObject({ code: 2 });
  });
});
