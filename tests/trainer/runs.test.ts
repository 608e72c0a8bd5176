/** Runs over HTTP, from a recipe to their end: what is told of them, what is asked of them, and what recipes may not do. */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, describe, expect, it } from 'vitest';
import { TrainerEvent } from '../../services/trainer/http/runs/trainer-event.ts';
import { readRun, runFolder } from '../../services/trainer/runs/run-folder.ts';
import { readFeed } from './testing/read-feed.ts';
import { type Answered, ask, newFolders, post, recipe, startTestTrainer } from './testing/test-trainer.ts';

const folders = newFolders(afterAll);
const { url, close } = await startTestTrainer(folders, { kernel: { step_milliseconds: 5 } });
afterAll(close);

const submit = (text: string = recipe(), headers: Record<string, string> = {}) =>
  post(url, '/runs/train', text, headers);

async function until(id: string, isEnough: (run: Answered['body']) => boolean): Promise<Answered['body']> {
  for (;;) {
    const { body } = await ask(url, `/runs/${id}`);
    if (isEnough(body)) return body;
    await sleep(20);
  }
}

const inState = (state: string) => (run: Answered['body']) => run.state === state;
const slow = () => recipe().replace('max_steps: 30', 'max_steps: 100000');

describe('a run', () => {
  it('goes from a recipe to a version, and is told of on the way', async () => {
    const sent = await submit();
    expect(sent.status).toBe(200);
    expect(sent.body).toMatchObject({ object: 'run', name: 'tiny', state: 'queued', owner: 'anonymous' });
    // As it was sent: where that lies here is nobody's business.
    expect(sent.body.recipe.data.train).toBe('plays/*.txt');
    expect(sent.text).not.toContain(folders.root);
    const { recipe: trained } = await readRun(folders.data, sent.body.id);
    expect(trained.data.train).toEqual([join(folders.corpus, 'plays/one.txt'), join(folders.corpus, 'plays/two.txt')]);

    const run = await until(sent.body.id, inState('succeeded'));
    expect(run).toMatchObject({ published: ['tiny@v001'], attempts: 1, checkpoint_step: 30, failure: null });
    expect(run.progress).toMatchObject({ step: 30, total_steps: 30, eta_seconds: 0 });
    expect(run.trained).toMatchObject({ step: 30, tokens: 30 * 64 });
    expect(JSON.stringify(run)).not.toContain(folders.root);
  });

  it('takes JSON as well, and has another name for it all', async () => {
    const json = {
      name: 'json',
      model: { scratch: { family: 'gpt2', layers: 1, heads: 1, hidden_size: 8, context_length: 8 } },
      tokenizer: { kind: 'character' },
      data: { train: 'plays/one.txt' },
      training: { max_steps: 2 },
    };
    const sent = await post(url, '/api/v1/training/jobs', JSON.stringify(json), { 'content-type': 'application/json' });
    expect(sent.status).toBe(200);
    await until(sent.body.id, inState('succeeded'));
    expect((await ask(url, `/api/v1/training/jobs/${sent.body.id}`)).body.name).toBe('json');
  });

  it('is paused, resumed and cancelled, and says when it will be done and that it is alive', async () => {
    const { id } = (await submit(slow())).body;
    const running = await until(id, (run) => run.progress?.eta_seconds > 0 && run.heartbeat_at !== null);
    expect(running.state).toBe('running');
    expect(Date.now() - Date.parse(running.heartbeat_at)).toBeLessThan(60_000);

    expect((await post(url, `/runs/${id}/pause`)).status).toBe(200);
    const paused = await until(id, inState('paused'));
    expect(paused.checkpoint_step).toBeGreaterThan(0);
    expect(paused.heartbeat_at).toBeNull();

    expect((await post(url, `/api/v1/training/jobs/${id}/resume`)).body.state).toBe('queued');
    await until(id, (run) => run.state === 'running' && run.progress.step > paused.checkpoint_step);
    await post(url, `/runs/${id}/cancel`);
    await until(id, inState('cancelled'));
    const late = await post(url, `/runs/${id}/pause`);
    expect(late.status).toBe(409);
    expect(late.body.error.message).toContain('cancelled');
  });

  it('has the lines of its kernel', async () => {
    const { id } = (await submit()).body;
    await until(id, inState('succeeded'));
    const { text, headers } = await ask(url, `/runs/${id}/logs?tail=3`);
    expect(headers.get('content-type')).toContain('text/plain');
    expect(text).toBe('did step 28\ndid step 29\ndid step 30\n');
    expect((await ask(url, `/runs/${id}/logs?tail=0`)).status).toBe(422);
    const { events } = await readFeed(`${url}/runs/${id}/logs/stream`);
    expect(events.map(({ data }) => data)).toEqual(Array.from({ length: 30 }, (_, index) => `did step ${index + 1}`));
    const later = await readFeed(`${url}/runs/${id}/logs/stream`, events[9]?.id);
    expect(later.events.map(({ data }) => data)).toEqual(events.slice(10).map(({ data }) => data));
  });

  it('has what its versions answered, when they were asked', async () => {
    const { id } = (await submit()).body;
    await until(id, inState('succeeded'));
    expect((await ask(url, `/runs/${id}/samples`)).body).toEqual({ object: 'list', data: [] });
    const sample = {
      version: 'tiny@v001',
      prompt: 'To',
      prompt_ids: [1, 2],
      text: ' be',
      finish_reason: 'stop',
      tokens: 1,
    };
    // As the publishing stage leaves them, which needs a version that can be served.
    writeFileSync(runFolder(folders.data, id).samples, `${JSON.stringify(sample)}\n`.repeat(2));
    expect((await ask(url, `/runs/${id}/samples`)).body.data).toEqual([sample, sample]);
    expect((await ask(url, '/runs/run-20260101-000000-000000/samples')).status).toBe(404);
  });

  it('is listed by pages and by state', async () => {
    const names = [];
    for (let count = 0; count < 3; count++) names.push((await submit()).body.id);
    const first = (await ask(url, '/runs?limit=2')).body;
    expect(first).toMatchObject({ object: 'list', has_more: true });
    const ids = [];
    for (let page = first; ; page = (await ask(url, `/runs?limit=2&after=${page.last_id}`)).body) {
      ids.push(...page.data.map(({ id }: { id: string }) => id));
      if (!page.has_more) break;
    }
    expect(ids).toEqual([...new Set(ids)].sort().reverse());
    expect(ids).toEqual(expect.arrayContaining(names));
    for (const id of names) await until(id, inState('succeeded'));
    const succeeded = (await ask(url, '/runs?state=succeeded&limit=100')).body.data;
    expect(succeeded.every(({ state }: { state: string }) => state === 'succeeded')).toBe(true);
    expect((await ask(url, '/runs?state=lost')).status).toBe(422);
    expect((await ask(url, '/runs/run-20260101-000000-000000')).status).toBe(404);
    expect((await ask(url, '/runs/..%2f..%2fsecret.txt')).status).toBe(404);
  });
});

describe('events', () => {
  it('are named, of the shape that is promised, numbered without a gap, and end with the run', async () => {
    const { id } = (await submit()).body;
    const { events, status } = await readFeed(`${url}/runs/${id}/events`);
    expect(status).toBe(200);
    const parsed = events.map(({ data }) => TrainerEvent.parse(JSON.parse(data)));
    expect(parsed.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    expect(events.every(({ id: number, event }, index) => number === index + 1 && event === parsed[index]?.type)).toBe(
      true,
    );
    const types = new Set(parsed.map(({ type }) => type));
    expect([...types].sort()).toEqual([
      'trainer.job.completed.v1',
      'trainer.job.progress.v1',
      'trainer.job.started.v1',
      'trainer.metrics.completed.v1',
      'trainer.metrics.config.v1',
      'trainer.metrics.progress.v1',
    ]);
    expect(parsed.find(({ data }) => 'kind' in data && data.kind === 'sample')?.data).toEqual({
      ...{ kind: 'sample', step: 30, prompt: [...Buffer.from('caf')], ids: [...Buffer.from('é!')], ended: true },
      ...{ prompt_text: 'caf', text: 'é!' },
    });
    expect(parsed.at(-1)).toMatchObject({ type: 'trainer.job.completed.v1', data: { published: ['tiny@v001'] } });
    expect(JSON.stringify(parsed)).not.toContain(folders.root);
  });

  it('go on where their reader was cut off, while the run goes on: none lost, none twice', async () => {
    const { id } = (await submit(recipe().replace('max_steps: 30', 'max_steps: 120'))).body;
    const feed = `${url}/runs/${id}/events`;
    const seen: number[] = [];
    for (let cut = 20; ; cut += 40) {
      const { events, status } = await readFeed(feed, seen.at(-1), (event) => event.id >= cut);
      if (status === 204) break;
      seen.push(...events.map((event) => event.id));
    }
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    const { events } = await readFeed(feed);
    expect(seen).toEqual(events.map((event) => event.id));
  });

  it('of a cancelled run end with that', async () => {
    const { id } = (await submit(slow())).body;
    await until(id, inState('running'));
    await post(url, `/runs/${id}/cancel`);
    const { events } = await readFeed(`${url}/runs/${id}/events`);
    expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject({
      type: 'trainer.job.failed.v1',
      data: { state: 'cancelled', class: null },
    });
  });

  it('are told over what a power cut has left among them, and take no place that nobody gives back', async () => {
    const { id } = (await submit()).body;
    await until(id, inState('succeeded'));
    const { events } = runFolder(folders.data, id);
    const lines = readFileSync(events, 'utf8').split('\n');
    writeFileSync(events, lines.with(4, '{"id":5,"at":"20').with(6, '\0\0').join('\n'));
    // More than there are places.
    for (let count = 0; count < 300; count++) {
      expect((await fetch(`${url}/runs/${id}/events`, { method: 'HEAD' })).status).toBe(200);
    }
    const told = (await readFeed(`${url}/runs/${id}/events`)).events;
    expect(told.map((event) => event.id).slice(0, 6)).toEqual([1, 2, 3, 4, 6, 8]);
    expect(told.at(-1)?.event).toBe('trainer.job.completed.v1');
    expect((await ask(url, '/runs')).status).toBe(200);
    expect((await ask(url, `/runs/${id}`)).body.progress.step).toBe(30);
  });

  it('are not begun after what is no id', async () => {
    const { id } = (await submit()).body;
    const wrong = await ask(url, `/runs/${id}/events`, { headers: { 'Last-Event-ID': '-1; drop' } });
    expect(wrong.status).toBe(422);
    await until(id, inState('succeeded'));
  });
});

describe('a recipe', () => {
  const refused = async (text: string, status: number, message: RegExp) => {
    const { body, ...answer } = await submit(text);
    expect(body.error.message).toMatch(message);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toContain('nobody reads this');
  };
  const reading = (path: string) => recipe().replace('plays/*.txt', JSON.stringify(path));

  it.each([
    ['above the folder', '../secret.txt'],
    ['elsewhere', '/etc/passwd'],
    ['by a pattern elsewhere', '/etc/pass*'],
    ['by a pattern above the folder', '../*.txt'],
    ['by alternatives above the folder', '{..,plays}/secret.txt'],
    ['by a link', 'link.txt'],
    ['by a pattern over links', 'link*.txt'],
    ['below a linked folder', 'outside/secret.txt'],
    ['with a zero byte', 'plays\u0000/one.txt'],
  ])('reads nothing %s', async (_, path) => {
    const link = (target: string, name: string) => {
      try {
        symlinkSync(target, join(folders.corpus, name));
      } catch {}
    };
    link(join(folders.root, 'secret.txt'), 'link.txt');
    link(folders.root, 'outside');
    await refused(
      reading(path),
      404,
      /^data\.train: there is nothing at .* \(DATA_ROOTS\), where a path begins; or send the file/,
    );
  });

  it('is not looked for by patterns that would never come to an end', { timeout: 20_000 }, async () => {
    const costly = ['{a,b}'.repeat(14), '+(+(+(a|b|c|.|-|*)))!', '*'.repeat(301)];
    for (const pattern of costly) await refused(reading(pattern), 422, /^data\.train: a pattern of at most/);
    const many = recipe().replace('plays/*.txt', JSON.stringify(Array(101).fill('**/*')));
    await refused(many, 422, /^data\.train: more than 100 patterns/);
  });

  it('fetches nothing, and reads no file of a sender that is not there', async () => {
    await refused(reading('http://127.0.0.1:1/latest/meta-data'), 422, /URLs are not fetched/);
    await refused(reading('file:///etc/passwd'), 422, /URLs are not fetched/);
    await refused(reading('file-00000000000000000000000000000000'), 404, /there is no file/);
  });

  it('finds bases and tokenizers in the folders of models alone', async () => {
    const based = (base: string) =>
      `name: b\nmodel: { base: ${base} }\ndata: { train: plays/one.txt }\ntraining: { max_steps: 1 }\n`;
    await refused(based('../corpus'), 404, /^model\.base: .*MODEL_ROOTS/);
    await refused(based('/etc'), 404, /^model\.base: /);
    await refused(recipe().replace('kind: character', 'path: /etc'), 404, /^tokenizer\.path: /);
    const { body } = await submit(based('org/tiny'));
    expect(await readRun(folders.data, body.id)).toMatchObject({
      recipe: { model: { base: join(folders.models, 'org/tiny') } },
    });
    await until(body.id, inState('succeeded'));
  });

  it('that reads in two places what is not there is refused for the first, and harms nobody', async () => {
    await refused(reading('nowhere.txt').replace('kind: character', 'path: /etc'), 404, /^data\.train: /);
  });

  it('with mistakes is told each of them, with its line and what was probably meant', async () => {
    const { status, body } = await submit(recipe('evaluation: { promts: [a] }').replace('max_steps', 'max_step'));
    expect(status).toBe(422);
    expect(body.error.message).toMatch(/2 problems/);
    expect(body.error.message).toMatch(/line 6: training\.max_step .*did you mean max_steps\?/);
    expect(body.error.message).toMatch(/line 7: evaluation\.promts .*did you mean prompts\?/);
  });

  it('that is none, too long, or made to hurt is refused', async () => {
    await refused('', 422, /no section/);
    await refused('[1, 2', 422, /line 1/);
    await refused('a'.repeat(10 * 2 ** 20), 413, /at most 65536 bytes/);
    await refused('['.repeat(60_000), 422, /./);
    await refused('name: &a [*a]', 422, /aliases/);
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefgh'.split('').map((name, index) => {
        const before = '*'.concat('abcdefg'[index] ?? '');
        return `${name}: &${name} [${Array(9).fill(before).join(', ')}]`;
      }),
    ];
    await refused(bomb.join('\n'), 422, /aliases/);
    expect((await ask(url, '/healthz')).status).toBe(200);
  });
});

describe('the service', () => {
  it('tells how it is', async () => {
    expect((await ask(url, '/healthz')).body).toEqual({ status: 'ok' });
    expect((await ask(url, '/health')).body).toMatchObject({ status: 'ok', working: true });
    expect((await ask(url, '/readyz')).body).toEqual({ ready: true });
    const { text } = await ask(url, '/metrics');
    expect(text).toMatch(/^slipway_runs\{state="succeeded"\} [1-9]\d*$/m);
    expect(text).toMatch(/^slipway_runs\{state="queued"\} \d+$/m);
    expect(text).toContain('slipway_trainer_working 1');
    expect(text).toMatch(/^http_requests_total\{handler="\/runs\/train",method="POST",status="2xx"\} \d+$/m);
  });

  it('describes every endpoint it lists, as valid OpenAPI', async () => {
    const api = (await ask(url, '/openapi.json')).body;
    const { valid, errors } = await new Validator().validate(structuredClone(api));
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    const { endpoints } = (await ask(url, '/')).body;
    const described = Object.entries<object>(api.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const listed = endpoints.map(
      (one: { method: string; url: string }) => `${one.method} ${one.url.slice(url.length)}`,
    );
    expect(described.sort()).toEqual(listed.sort());
    expect((await ask(url, '/docs')).text).toContain('/runs/{id}/events');
  });

  it('says what a path takes, and sends the headers of every Slipway', async () => {
    const wrong = await ask(url, '/runs/train');
    expect(wrong.status).toBe(404);
    const missed = await ask(url, '/runs', { method: 'DELETE' });
    expect(missed.status).toBe(405);
    expect(missed.headers.get('allow')).toBe('GET');
    expect(missed.headers.get('x-content-type-options')).toBe('nosniff');
    expect(missed.headers.get('x-request-id')).toMatch(/^req-/);
  });
});
