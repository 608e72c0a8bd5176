/** What a run's version answers over HTTP: served for it, asked, and polled for. */
import { Generated, Score } from '@slipway/shared/contracts/answer-schemas.ts';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { serveVersion } from '../../cli/serve-version.ts';
import { ended, NAME, newPlace, newRun, STORY, VERSION } from './testing/published-runs.ts';
import { ask, post, startTestTrainer } from './testing/test-trainer.ts';

const { url, close } = await startTestTrainer(newPlace(afterAll), { serve: serveVersion });
afterAll(close);
const run = await newRun(url);

const question = (name: string, body: object, at = url) => post(at, `/runs/${run}/${name}`, JSON.stringify(body));
const GREEDY = { prompt: 'ROMEO:', max_new_tokens: 12, temperature: 0, logprobs: 0 };

describe("a run's version", { timeout: 300_000 }, () => {
  it('goes on from a prompt, and finds what it said likely', async () => {
    const asked = await question('generate', GREEDY);
    expect(asked.status).toBe(202);
    expect(asked.body).toMatchObject({ object: 'run.generate', run, version: VERSION, status: 'queued', result: null });
    const { status, error, result } = await ended(url, `/runs/${run}/generate?id=${asked.body.id}`);
    expect({ status, error }).toEqual({ status: 'succeeded', error: null });
    const { text, outputs, model, usage } = Generated.parse(result);
    expect({ model, usage }).toMatchObject({ model: NAME, usage: { completion_tokens: 12 } });

    const scored = await question('score', { prompt: GREEDY.prompt, completion: text });
    const { result: score } = await ended(url, `/runs/${run}/score?id=${scored.body.id}`);
    const nats = outputs[0]?.logprobs?.reduce((sum, { logprob }) => sum - logprob, 0) ?? Number.NaN;
    expect(Score.parse(score).total.nats).toBeCloseTo(nats, 2);
  });

  it('answers the newest when no id is named, each kind for itself', async () => {
    const other = await newRun(url);
    const none = await ask(url, `/runs/${other}/generate`);
    expect([none.status, none.body.error.message]).toEqual([404, 'there is no generation; ask for one']);
    const first = await post(url, `/runs/${other}/generate`, JSON.stringify(GREEDY));
    const second = await post(url, `/runs/${other}/generate`, JSON.stringify({ ...GREEDY, max_new_tokens: 2 }));
    const { id, result } = await ended(url, `/runs/${other}/generate`);
    expect([id, result.outputs[0].token_ids.length]).toEqual([second.body.id, 2]);
    expect((await ask(url, `/runs/${other}/generate?id=${first.body.id}`)).body.status).toBe('succeeded');
    expect((await ask(url, `/runs/${other}/score`)).status).toBe(404);
    expect((await ask(url, `/runs/${other}/score?id=${id}`)).status).toBe(404);
  });

  it('is asked nothing that is wrong, and says of what it refuses why', async () => {
    const refused = async (name: string, body: object, status: number, message: RegExp) => {
      const answer = await question(name, body);
      expect([answer.status, answer.body.error.message]).toEqual([status, expect.stringMatching(message)]);
    };
    await refused('generate', {}, 422, /^prompt must be a string/);
    await refused('generate', { ...GREEDY, stream: true }, 422, /"stream" is not a known field/);
    await refused('generate', { ...GREEDY, model: 'other' }, 422, /"model" is not a known field/);
    await refused('generate', { ...GREEDY, max_new_tokens: 0 }, 422, /0 only with prompt_logprobs/);
    await refused('score', { text: STORY, texts: [STORY] }, 422, /give one of text/);
    await refused('score', { text: STORY, max_new_tokens: 3 }, 422, /not a known field/);
    const { id } = (await question('generate', { prompt: [1_000_000] })).body;
    const { status, error, result } = await ended(url, `/runs/${run}/generate?id=${id}`);
    expect({ status, error, result }).toEqual({
      status: 'failed',
      error: { code: 'invalid_field', message: expect.stringContaining('1000000') },
      result: null,
    });
  });

  it('cannot be asked by a service that has nothing to serve versions with', async () => {
    const place = newPlace();
    const other = await startTestTrainer(place);
    onTestFinished(() => other.close());
    const id = await newRun(other.url);
    const { status, body } = await post(other.url, `/runs/${id}/generate`, JSON.stringify(GREEDY));
    expect([status, body.error.code]).toEqual([501, 'not_implemented']);
  });
});
