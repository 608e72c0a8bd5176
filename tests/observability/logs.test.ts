/** The log of the real service: one line for each request with what an operator asks for, and nothing of anybody's text. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, post } from '../service/testing/raw-client.ts';
import { type RealService, startRealService } from './testing/real-service.ts';

const PROMPT = 'Once upon a time a secret plan';

let service: RealService | undefined;
afterEach(async () => {
  await service?.stop();
  service = undefined;
});

/** The line of the request with this id, when it has been written. */
async function lineOf(id: string): Promise<Record<string, unknown>> {
  const lines = () => service?.log.filter(({ msg, request_id }) => msg === 'request' && request_id === id) ?? [];
  await eventually(lines, (found) => found.length > 0);
  const [line, ...others] = lines();
  if (line === undefined || others.length > 0) throw new Error(`${others.length + 1} lines`);
  return line;
}

const GENERATED = {
  level: 'info',
  time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  service: 'inference',
  instance: expect.stringMatching(/:\d+$/),
  key: 'environment',
  method: 'POST',
  path: '/generate',
  route: '/generate',
  status: 200,
  model: 'shakespeare-gpt2',
  prompt_tokens: expect.any(Number),
  completion_tokens: 8,
  finish_reason: 'length',
  queue_ms: expect.any(Number),
  time_to_first_token_ms: expect.any(Number),
  total_ms: expect.any(Number),
  tokens_per_second: expect.any(Number),
};

describe('a request', () => {
  it('that generates is one line with everything, whole or as a stream', async () => {
    service = await startRealService({ API_KEY: 'open sesame' });
    const headers = { authorization: 'Bearer open sesame' };
    const body = { prompt: PROMPT, max_new_tokens: 8, ignore_eos: true };
    const answers: string[] = [];
    for (const stream of [false, true]) {
      const id = `log-${stream}`;
      const response = await service.generate({ ...body, stream }, { ...headers, 'x-request-id': id });
      expect(response.headers.get('x-request-id')).toBe(id);
      answers.push(await response.text());
      const line = await lineOf(id);
      expect(line).toMatchObject(GENERATED);
      expect(line.ms).toBeGreaterThanOrEqual(Math.floor(Number(line.total_ms)));
    }
    await service.stop();
    const written = JSON.stringify(service.log);
    const { text } = JSON.parse(answers[0] ?? '');
    for (const secret of ['secret plan', 'sesame', text]) expect(written).not.toContain(secret);
  });

  it('that is wrong is a line with the code, and without what was sent', async () => {
    service = await startRealService();
    await (await service.generate({ prompt: PROMPT, top_p: PROMPT }, { 'x-request-id': 'wrong-field' })).text();
    const broken = `{"prompt": "${PROMPT}`;
    await (
      await fetch(`${service.url}/generate`, {
        method: 'POST',
        body: broken,
        headers: { 'x-request-id': 'wrong-json' },
      })
    ).text();
    expect(await lineOf('wrong-field')).toMatchObject({ level: 'info', status: 422, error: 'invalid_field' });
    expect(await lineOf('wrong-json')).toMatchObject({ level: 'info', status: 400, error: 'invalid_json' });
    expect(JSON.stringify(service.log)).not.toContain('secret plan');
  });

  it('that the service could not answer says why', async () => {
    service = await startRealService({ QUEUE_LIMIT: '0', OCCUPANCY_SEMAPHORE: '1', SLOTS: '1' });
    const { generate } = service;
    const long = { prompt: PROMPT, max_new_tokens: 480, ignore_eos: true };
    const ids = Array.from({ length: 8 }, (_, index) => `crowd-${index}`);
    const responses = await Promise.all(ids.map((id) => generate(long, { 'x-request-id': id })));
    const refused = responses.findIndex(({ status }) => status === 503);
    await Promise.all(responses.map((response) => response.text()));
    expect(await lineOf(ids[refused] ?? '')).toMatchObject({
      level: 'warn',
      status: 503,
      error: 'overloaded',
      reason: expect.stringContaining('try again'),
    });
  });

  it('whose client leaves says so', async () => {
    service = await startRealService();
    const client = await post(service.url, '/generate', { prompt: PROMPT, max_new_tokens: 480, stream: true });
    await client.sees('data: ');
    client.socket.destroy();
    const left = () => service?.log.find(({ msg }) => msg === 'request');
    await eventually(left, (line) => line !== undefined);
    expect(left()).toMatchObject({ client_left: true, status: 200 });
  });
});

const hasTerminal = spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0;

describe.skipIf(!hasTerminal)('in a terminal (the program `script`)', () => {
  it('lines are for people, and a path cannot steer the terminal', async () => {
    const root = resolve(import.meta.dirname, '..', '..');
    const command = `${process.execPath} ${join(root, 'services', 'inference', 'main.ts')}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, BUCKET_URL: join(root, 'models'), PORT: '0', HOST: '127.0.0.1' },
    });
    let raw = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      raw += chunk;
    });
    const written = () => stripVTControlCharacters(raw);
    await eventually(written, (text) => /INFO: ready /.test(text), 60_000);
    const url = /"url":"([^"]+)"/.exec(written())?.[1];
    await (await fetch(`${url}/no%1b%5b2J%0Awhere`, { headers: { 'x-request-id': 'seen-1' } })).text();
    await eventually(written, (text) => text.includes('seen-1'));
    child.kill('SIGTERM');
    await once(child, 'close');
    const line = written()
      .split(/\r?\n/)
      .find((text) => text.includes('seen-1'));
    expect(line).toMatch(
      /^\[\d\d:\d\d:\d\d\] INFO: GET \/no\?\[2J\?where 404 in \d+ ms \{"request_id":"seen-1","error":"not_found"\}$/,
    );
    expect(raw).not.toContain('\u001b[2J');
  });
});
