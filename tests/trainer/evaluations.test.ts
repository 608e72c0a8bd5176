/** Evaluations over HTTP: the version that a run has published is served as `slipway trainer` serves it, and asked. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import type { ServeVersion } from '@slipway/trainer/evaluation';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { serveVersion } from '../../cli/serve-version.ts';
import { ended, NAME, newPlace, newRun, STORY, VERSION } from './testing/published-runs.ts';
import { ask, post, recipe, startGuardedTrainer, startTestTrainer } from './testing/test-trainer.ts';
import { startTrainerProcess } from './testing/trainer-process.ts';

const LIKELIHOOD = { data: 'story.txt', metrics: ['perplexity', 'bits_per_byte'] };

const folders = newPlace(afterAll);
const { url, close } = await startTestTrainer(folders, { serve: serveVersion });
afterAll(close);

const evaluate = (run: string, body: object, at = url) => post(at, `/runs/${run}/evaluate`, JSON.stringify(body));

const endOf = (run: string, id: string, at = url) => ended(at, `/runs/${run}/eval?id=${id}`);

describe('an evaluation', { timeout: 300_000 }, () => {
  it('asks the version of a run, and is told as figures and as a page', async () => {
    const run = await newRun(url);
    const sent = await evaluate(run, { ...LIKELIHOOD, against: NAME });
    expect(sent.status).toBe(202);
    expect(sent.body).toMatchObject({ object: 'run.evaluation', run, status: 'queued', result: null, error: null });
    const { status, versions, result, error } = await endOf(run, sent.body.id);
    expect({ status, error }).toEqual({ status: 'succeeded', error: null });
    expect(versions).toEqual([VERSION, VERSION]);
    const found = Evaluation.parse(result);
    expect(found.data.files.map(({ name, bytes }) => [name, bytes])).toEqual([['story.txt', STORY.length]]);
    // It was trained on such lines: of bytes that say nothing it makes 8 bits each.
    const { perplexity = Number.NaN, bits_per_byte = Number.NaN } = found.versions[0]?.figures ?? {};
    expect(perplexity).toBeGreaterThan(1);
    expect(bits_per_byte).toBeLessThan(4);
    expect(found.differences.map(({ difference }) => difference)).toEqual([0, 0]);
    expect(JSON.stringify(result)).not.toContain(folders.root);

    const report = await ask(url, `/runs/${run}/eval/report`);
    expect(report.headers.get('content-type')).toContain('text/html');
    expect(report.headers.get('content-security-policy')).toContain('sandbox');
    expect(report.text).toContain(VERSION);
    expect(report.text).toContain('I will not be so bold');
  });

  it('reads a file that was sent, and the newest is the one that is told', async () => {
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    form.set('file', new File([STORY.repeat(2)], 'sent.txt'));
    const { id: data } = (await ask(url, '/v1/files', { method: 'POST', body: form })).body;
    const run = await newRun(url);
    const first = (await evaluate(run, LIKELIHOOD)).body.id;
    const second = (await evaluate(run, { data })).body.id;
    const { status, result, data: told } = await endOf(run, second);
    expect({ status, told }).toEqual({ status: 'succeeded', told: data });
    expect(result.data.files[0].bytes).toBe(2 * STORY.length);
    expect(result.notes).toEqual([expect.stringMatching(/^The data is plain text, which asks nothing/)]);
    expect((await ask(url, `/runs/${run}/eval`)).body.id).toBe(second);
    expect((await ask(url, `/runs/${run}/eval?id=${first}`)).body.result.data.files[0].bytes).toBe(STORY.length);
  });

  it('that cannot be done says why, without the places of this machine', async () => {
    writeFileSync(join(folders.corpus, 'empty.txt'), '');
    const run = await newRun(url);
    const { body } = await evaluate(run, { ...LIKELIHOOD, data: 'empty.txt' });
    const { status, error, result } = await endOf(run, body.id);
    expect({ status, result }).toEqual({ status: 'failed', result: null });
    expect(error.code).toBe('invalid_source');
    expect(error.message).toContain('empty.txt');
    expect(error.message).not.toContain(folders.root);
    const report = await ask(url, `/runs/${run}/eval/report`);
    expect(report.status).toBe(409);
    expect(report.body.error.message).toContain('nothing to ask');
  });
});

describe('a request for one', () => {
  it('is refused with what is wrong', async () => {
    const run = await newRun(url);
    const refused = async (body: object, status: number, message: RegExp) => {
      const answer = await evaluate(run, body);
      expect([answer.status, answer.body.error.message]).toEqual([status, expect.stringMatching(message)]);
    };
    await refused({}, 422, /data must be .* missing/);
    await refused({ ...LIKELIHOOD, metrics: ['bleurt'] }, 422, /metrics must be an array of some of exact_match/);
    await refused({ ...LIKELIHOOD, metric: ['bleu'] }, 422, /did you mean metrics\?/);
    await refused({ ...LIKELIHOOD, limit: 0 }, 422, /limit must be an integer from 1/);
    await refused({ ...LIKELIHOOD, data: '../secret.txt' }, 404, /^data: there is nothing at .* \(DATA_ROOTS\)/);
    await refused({ ...LIKELIHOOD, data: `file-${'0'.repeat(32)}` }, 404, /there is no file/);
    await refused({ ...LIKELIHOOD, data: 'https://example.com/a.txt' }, 422, /URLs are not fetched/);
    await refused({ ...LIKELIHOOD, against: 'nobody@v001' }, 404, /nobody/);
    expect((await ask(url, `/runs/${run}/eval`)).status).toBe(404);
    expect((await ask(url, `/runs/${run}/eval?id=..%2f..%2frun`)).status).toBe(404);
    expect((await evaluate('run-20260101-000000-000000', LIKELIHOOD)).status).toBe(404);
  });

  it('is refused for a run that has no version yet', async () => {
    const text = recipe().replace('max_steps: 30', 'max_steps: 100000');
    const { id } = (await post(url, '/runs/train', text)).body;
    const { status, body } = await evaluate(id, LIKELIHOOD);
    expect([status, body.error.message]).toEqual([409, expect.stringContaining('published no version')]);
    await post(url, `/runs/${id}/cancel`);
  });

  it('is answered as if there were no such run to whoever may not see it', async () => {
    const place = newPlace();
    const { url: at, as } = await startGuardedTrainer(place);
    const { id } = (await post(at, '/runs/train', recipe(), as('hers'))).body;
    const body = JSON.stringify(LIKELIHOOD);
    expect((await post(at, `/runs/${id}/evaluate`, body, as('his'))).status).toBe(404);
    expect((await ask(at, `/runs/${id}/eval`, { headers: as('his') })).status).toBe(404);
    // It was given nothing to serve versions with.
    expect((await post(at, `/runs/${id}/evaluate`, body, as('hers'))).status).toBe(501);
  });
});

describe('what a service has left unfinished', { timeout: 300_000 }, () => {
  const left = {
    status: 'failed',
    error: { code: 'draining', message: expect.stringContaining('ask for it again') },
  };

  it('has failed when the service leaves', async () => {
    const place = newPlace();
    const asked = Promise.withResolvers<void>();
    const neverReady: ServeVersion = (_, signal) =>
      new Promise((_settle, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        asked.resolve();
      });
    const first = await startTestTrainer(place, { serve: neverReady });
    const run = await newRun(first.url);
    const ids = [];
    for (let count = 0; count < 2; count++) ids.push((await evaluate(run, LIKELIHOOD, first.url)).body.id);
    await asked.promise;
    const states = await Promise.all(ids.map((id) => ask(first.url, `/runs/${run}/eval?id=${id}`)));
    // One after the other.
    expect(states.map(({ body }) => body.status)).toEqual(['running', 'queued']);
    await first.close();
    const second = await startTestTrainer(place);
    onTestFinished(() => second.close());
    for (const id of ids) expect((await ask(second.url, `/runs/${run}/eval?id=${id}`)).body).toMatchObject(left);
  });

  it('has failed when the service was killed, and can be asked for again', async () => {
    const place = newPlace();
    const killed = await startTrainerProcess(place);
    const run = await newRun(killed.url);
    const { id } = (await evaluate(run, LIKELIHOOD, killed.url)).body;
    await killed.end('SIGKILL');
    const next = await startTestTrainer(place, { serve: serveVersion });
    onTestFinished(() => next.close());
    expect((await ask(next.url, `/runs/${run}/eval`)).body).toMatchObject({ id, ...left });
    const again = (await evaluate(run, LIKELIHOOD, next.url)).body.id;
    expect((await endOf(run, again, next.url)).status).toBe('succeeded');
  });
});
