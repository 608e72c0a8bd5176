/** `/v1/files` and `/v1/fine_tuning/jobs` by OpenAI's own client for Node. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { afterAll, describe, expect, it } from 'vitest';
import { readRun } from '../../services/trainer/runs/run-folder.ts';
import { ask, newFolders, post, recipe, startTestTrainer } from './testing/test-trainer.ts';

const KEYS = { ada: 'sk-slipway-ada', bob: 'sk-slipway-bob', ops: 'sk-slipway-ops', app: 'sk-slipway-app' } as const;
const SCOPES = { ada: 'train', bob: 'train', ops: 'admin', app: 'infer' } as const;
type Caller = keyof typeof KEYS;

const folders = newFolders(afterAll);
const apiKeysFile = join(folders.root, 'keys.json');
const keys = (Object.keys(KEYS) as Caller[]).map((name) => {
  const sha256 = createHash('sha256').update(KEYS[name]).digest('hex');
  return { name, sha256, scopes: [SCOPES[name]] };
});
writeFileSync(apiKeysFile, JSON.stringify({ keys }), { mode: 0o600 });
const { url, close } = await startTestTrainer(folders, {
  config: { apiKeysFile },
  kernel: { step_milliseconds: 20, steps: 40 },
});
afterAll(close);

const clientOf = (caller: Caller) => new OpenAI({ baseURL: `${url}/v1`, apiKey: KEYS[caller], maxRetries: 0 });
const line = JSON.stringify({
  messages: [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
  ],
});

async function send(client: OpenAI, text = `${line}\n`): Promise<string> {
  const file = await toFile(Buffer.from(text), 'chats.jsonl');
  return (await client.files.create({ file, purpose: 'fine-tune' })).id;
}

type Status = OpenAI.FineTuning.FineTuningJob['status'] | 'paused';

async function until(client: OpenAI, id: string, ...statuses: Status[]): Promise<OpenAI.FineTuning.FineTuningJob> {
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (statuses.includes(job.status)) return job;
    await sleep(20);
  }
}

describe('a job', () => {
  it('goes from a file to a model, with its events and checkpoints', async () => {
    const client = clientOf('ada');
    const training_file = await send(client);
    const validation_file = await send(client);
    const created = await client.fineTuning.jobs.create({
      model: 'org/tiny',
      training_file,
      validation_file,
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { n_epochs: 2, batch_size: 'auto', learning_rate_multiplier: 0.5 } },
      },
      seed: 7,
      suffix: 'tone',
      metadata: { for: 'a test' },
    });
    expect(created).toMatchObject({
      object: 'fine_tuning.job',
      model: 'org/tiny',
      training_file,
      validation_file,
      seed: 7,
      status: 'queued',
      fine_tuned_model: null,
      error: null,
      metadata: { for: 'a test' },
    });
    // What it is: a recipe.
    const { recipe: made } = await readRun(folders.data, created.id);
    expect(made).toMatchObject({
      name: 'tiny-tone',
      model: { base: join(folders.models, 'org/tiny'), tuning: { method: 'lora' } },
      training: { epochs: 2, max_steps: null, batch_size: 16, learning_rate: 1e-4, seed: 7 },
    });
    // What errors and a version's lineage call the file.
    expect([made.data.train, made.data.validation].map((path) => basename(String(path)))).toEqual([
      training_file,
      validation_file,
    ]);

    const job = await until(client, created.id, 'succeeded', 'failed');
    expect(job).toMatchObject({ status: 'succeeded', fine_tuned_model: 'tiny-tone@v001', trained_tokens: 40 * 64 });
    expect(job.finished_at).toBeGreaterThanOrEqual(job.created_at);

    const events = [];
    for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 7 })) events.push(event);
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    expect(events.every(({ object, level }) => object === 'fine_tuning.job.event' && level === 'info')).toBe(true);
    const metrics = events.filter(({ type }) => type === 'metrics').map(({ data }) => data as { step: number });
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, index) => 40 - index));
    expect(metrics[0]).toMatchObject({ train_loss: expect.any(Number), total_steps: 40 });
    expect(events.some(({ type, message }) => type === 'message' && message.startsWith('published'))).toBe(true);

    const checkpoints = [];
    for await (const one of client.fineTuning.jobs.checkpoints.list(job.id, { limit: 3 })) checkpoints.push(one);
    expect(checkpoints.map(({ step_number }) => step_number)).toEqual([40, 35, 30, 25, 20, 15, 10, 5]);
    expect(checkpoints[0]).toMatchObject({
      object: 'fine_tuning.job.checkpoint',
      fine_tuning_job_id: job.id,
      metrics: { step: 40, train_loss: expect.any(Number) },
    });
  });

  it('is paused, resumed and cancelled', async () => {
    const client = clientOf('ada');
    const { id } = await client.fineTuning.jobs.create({ model: 'org/tiny', training_file: await send(client) });
    await until(client, id, 'running');
    await client.fineTuning.jobs.pause(id);
    await until(client, id, 'paused');
    await client.fineTuning.jobs.resume(id);
    await until(client, id, 'running');
    await client.fineTuning.jobs.cancel(id);
    const job = await until(client, id, 'cancelled', 'succeeded');
    expect(job).toMatchObject({ status: 'cancelled', fine_tuned_model: null });
    await expect(client.fineTuning.jobs.resume(id)).rejects.toMatchObject({ status: 409 });
  });

  it('keeps its file from being deleted until it has read it', async () => {
    const client = clientOf('ada');
    const [first, training_file] = [await send(client), await send(client)];
    const before = await client.fineTuning.jobs.create({ model: 'org/tiny', training_file: first });
    const { id } = await client.fineTuning.jobs.create({ model: 'org/tiny', training_file });
    await expect(client.files.delete(training_file)).rejects.toMatchObject({
      status: 409,
      message: expect.stringContaining(id),
    });
    await client.fineTuning.jobs.cancel(id);
    expect(await client.files.delete(training_file)).toMatchObject({ deleted: true });
    await until(client, before.id, 'running', 'succeeded');
    expect(await client.files.delete(first)).toMatchObject({ deleted: true });
    await client.fineTuning.jobs.cancel(before.id).catch(() => {});
  });

  it('is listed by pages, and seen by whom it belongs to and by operators alone', async () => {
    const [ada, bob, ops] = [clientOf('ada'), clientOf('bob'), clientOf('ops')];
    const training_file = await send(bob);
    const ids = [];
    for (let count = 0; count < 3; count++)
      ids.push((await bob.fineTuning.jobs.create({ model: 'org/tiny', training_file })).id);
    // A run of a recipe is no job of OpenAI's.
    const authorization = { authorization: `Bearer ${KEYS.bob}` };
    const run = (await post(url, '/runs/train', recipe(), authorization)).body.id;
    const listed = [];
    for await (const { id } of bob.fineTuning.jobs.list({ limit: 2 })) listed.push(id);
    expect(listed).toEqual([...ids].sort().reverse());
    await expect(bob.fineTuning.jobs.retrieve(run)).rejects.toMatchObject({ status: 404 });

    const [id = ''] = ids;
    await expect(ada.fineTuning.jobs.retrieve(id)).rejects.toMatchObject({ status: 404 });
    await expect(ada.fineTuning.jobs.cancel(id)).rejects.toMatchObject({ status: 404 });
    await expect(ada.files.retrieve(training_file)).rejects.toMatchObject({ status: 404 });
    await expect(ada.fineTuning.jobs.create({ model: 'org/tiny', training_file })).rejects.toMatchObject({
      status: 404,
      param: 'training_file',
    });
    expect((await ops.fineTuning.jobs.retrieve(id)).id).toBe(id);
    for (const one of ids) await ops.fineTuning.jobs.cancel(one);
    await post(url, `/runs/${run}/cancel`, '', authorization);
  });

  it.each([
    ['a model that is not there', { model: 'org/none' }, { status: 404, code: 'model_not_found', param: 'model' }],
    ['a model elsewhere', { model: '../corpus' }, { status: 404, code: 'model_not_found' }],
    ['a file that is not there', { training_file: 'file-none' }, { status: 404, param: 'training_file' }],
    ['a path for a file', { training_file: '/etc/passwd' }, { status: 404, param: 'training_file' }],
    ['another method', { method: { type: 'dpo' } }, { status: 400, param: 'method' }],
    ['too many epochs', { hyperparameters: { n_epochs: 1000 } }, { status: 400, param: 'hyperparameters' }],
    ['a hyperparameter that nobody knows', { hyperparameters: { beta: 1 } }, { status: 400, param: 'hyperparameters' }],
    [
      'an integration',
      { integrations: [{ type: 'wandb', wandb: { project: 'x' } }] },
      { status: 400, param: 'integrations' },
    ],
    ['a suffix that is no name', { suffix: '../x' }, { status: 400, param: 'suffix' }],
  ])('with %s is refused in words of OpenAI', async (_, changes, expected) => {
    const client = clientOf('ada');
    const request = { model: 'org/tiny', training_file: await send(client), ...changes };
    const creating = client.fineTuning.jobs.create(request as OpenAI.FineTuning.JobCreateParams);
    await expect(creating).rejects.toMatchObject({ type: 'invalid_request_error', ...expected });
  });
});

describe('keys', () => {
  const as = (caller: Caller) => ({ authorization: `Bearer ${KEYS[caller]}` });

  it('are asked for everywhere but where the service tells of itself', async () => {
    expect((await ask(url, '/runs')).status).toBe(401);
    expect((await ask(url, '/metrics')).status).toBe(401);
    expect((await ask(url, '/readyz')).status).toBe(200);
    expect((await ask(url, '/openapi.json')).status).toBe(200);
  });

  it('for generating do not train, and those for training do not change what is served', async () => {
    const generating = await post(url, '/runs/train', recipe(), as('app'));
    expect(generating.status).toBe(403);
    expect(generating.body.error.message).toContain('scope train');
    const champion = recipe('publish: { alias: champion }');
    expect((await post(url, '/runs/train', champion, as('ada'))).status).toBe(403);
    const allowed = await post(url, '/runs/train', champion, as('ops'));
    expect(allowed.status).toBe(200);
    await post(url, `/runs/${allowed.body.id}/cancel`, '', as('ops'));
  });

  it('see files and runs of their own alone', async () => {
    const file = await send(clientOf('ada'));
    const using = (caller: Caller) => post(url, '/runs/train', recipe().replace('plays/*.txt', file), as(caller));
    expect((await using('bob')).status).toBe(404);
    const own = await using('ada');
    expect(own.status).toBe(200);
    expect((await ask(url, `/runs/${own.body.id}`, { headers: as('bob') })).status).toBe(404);
    expect((await ask(url, `/runs/${own.body.id}/events`, { headers: as('bob') })).status).toBe(404);
    await post(url, `/runs/${own.body.id}/cancel`, '', as('ada'));
  });
});
