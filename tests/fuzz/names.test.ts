/**
 * No name that a request gives, of a model, a session, a file or anything else, becomes a path: the service's own calls of the file system
 * are written down while every field of every endpoint says `../` and worse.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealService, startRealService } from '../observability/testing/real-service.ts';
import { listedEndpoints } from './testing/listed-endpoints.ts';

const MARKER = 'zz-marked-zz';
const RECORDER = pathToFileURL(join(import.meta.dirname, 'testing', 'record-paths.mjs')).href;

let service: RealService;
let folder: string;
let recorded: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-names-'));
  recorded = join(folder, 'recorded.jsonl');
  // What a name that became a path would find.
  writeFileSync(join(folder, MARKER), 'the secret of somebody else');
  const NODE_OPTIONS = `--import=${RECORDER}`;
  service = await startRealService({
    NODE_OPTIONS,
    RECORDED_MARKER: MARKER,
    RECORDED_PATHS: recorded,
    MAX_NEW_TOKENS: '4',
    DEFAULT_MAX_NEW_TOKENS: '2',
  });
});
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Each leads, taken as a path from somewhere, to the marked file or to one beside it. */
function hostileNames(): string[] {
  const up = '../'.repeat(12);
  const target = join(folder, MARKER);
  return [
    target,
    up + target.slice(1),
    `shakespeare-gpt2/${up}${target.slice(1)}`,
    `shakespeare-gpt2@${up}${target.slice(1)}`,
    `shakespeare-gpt2@v001/${up}${target.slice(1)}`,
    `${target}\u0000.json`,
    `${target}@v001`,
    `owner/${target}`,
    pathToFileURL(target).href,
    encodeURIComponent(target),
    `..%2f..%2f${MARKER}`,
    `..\\..\\${MARKER}`,
    `~/${MARKER}`,
    `./${MARKER}`,
    `${MARKER}/../${MARKER}`,
    `${MARKER}${'x'.repeat(5000)}/`,
    `\u202e${MARKER}/.`,
    `s3://bucket/${MARKER}`,
    ` ${MARKER}/`,
  ];
}

/** Where a bucket looks for a model of this name, which is one: a name for a model can be had from `./NAME`. */
const IN_BUCKET = /\/models\/(manifests|journals)\/zz-marked-zz\/$/;

/** What the service gave to the file system, beyond that. */
function pathsGiven(): string[] {
  const lines = existsSync(recorded) ? readFileSync(recorded, 'utf8').trim().split('\n') : [];
  return lines.filter((line) => !IN_BUCKET.test(Reflect.get(JSON.parse(line), 'path')));
}

/** What changes by itself: memory in use and times of use. */
function withoutTimes(list: string): string {
  return list.replaceAll(/"(\w*bytes|last_used_at|requests)":("[^"]*"|\d+|null)/g, '');
}

const PLACE = /\{\w+\}/g;

async function send(path: string, init: RequestInit): Promise<void> {
  const response = await fetch(service.url + path, init);
  const text = await response.text();
  expect(text).not.toContain('the secret of somebody else');
  // A playground that has not been built says so with a 503 of its own.
  const isEarned = response.status < 500 || response.status === 501 || path.startsWith('/ui?');
  if (!isEarned) throw new Error(`${response.status} for ${path}: ${text.slice(0, 500)}`);
}

/** The fields that name something. */
const NAMING = [
  ...['model', 'session_id', 'id', 'name', 'version', 'file', 'input_file_id', 'output_file_id', 'user', 'endpoint'],
  ...['purpose', 'prompt', 'text', 'input', 'chat_template', 'response_format', 'grammar', 'adapter', '$ref', 'path'],
];
const BASE = { prompt: 'a', text: 'a', messages: [{ role: 'user', content: 'a' }], max_new_tokens: 1, max_tokens: 1 };

describe('a hostile name', { timeout: 300_000 }, () => {
  it('is recorded when it does reach the file system, so that this test sees what it looks for', async () => {
    const { spawnSync } = await import('node:child_process');
    const program = `import { readFile } from 'node:fs/promises'; await readFile(${JSON.stringify(join(folder, MARKER))});`;
    const file = join(folder, 'trial.jsonl');
    spawnSync(process.execPath, ['--import', RECORDER, '--input-type=module', '-e', program], {
      env: { RECORDED_MARKER: MARKER, RECORDED_PATHS: file },
    });
    expect(readFileSync(file, 'utf8')).toContain(`"name":"readFile"`);
  });

  it('in any field of any body stays a name', async () => {
    for (const { method, path } of await listedEndpoints(service.url)) {
      if (method === 'GET') continue;
      for (const name of hostileNames()) {
        const url = path.replaceAll(PLACE, 'x');
        await Promise.all(
          NAMING.map((field) => send(url, { method, body: JSON.stringify({ ...BASE, [field]: name }) })),
        );
      }
    }
    expect(pathsGiven()).toEqual([]);
  });

  it('loads and unloads nothing but what the bucket names', async () => {
    const loaded = async () => (await fetch(`${service.url}/api/v1/models`)).text();
    const before = await loaded();
    for (const path of ['/models/load', '/models/unload', '/api/v1/models/load', '/api/v1/models/unload']) {
      for (const model of hostileNames()) {
        const response = await fetch(service.url + path, { method: 'POST', body: JSON.stringify({ model }) });
        expect([404, 422], `${path} ${model}`).toContain(response.status);
        await response.text();
      }
    }
    expect(withoutTimes(await loaded())).toEqual(withoutTimes(before));
    expect(pathsGiven()).toEqual([]);
  });

  it('in any part of a path or query stays a name', async () => {
    for (const { method, path } of await listedEndpoints(service.url)) {
      const init = method === 'GET' ? { method } : { method, body: JSON.stringify(BASE) };
      const below = path.includes('{') ? path : `${path.replace(/\/$/, '')}/{name}`;
      for (const name of hostileNames()) {
        for (const part of [encodeURIComponent(name), encodeURI(name), encodeURIComponent(encodeURIComponent(name))]) {
          await Promise.all([
            send(below.replaceAll(PLACE, part), init),
            send(`${path.replaceAll(PLACE, 'x')}?model=${part}&id=${part}&after=${part}&file=${part}`, init),
          ]);
        }
      }
    }
    expect(pathsGiven()).toEqual([]);
  });

  it('of a file that is uploaded stays a name', async () => {
    for (const { method, path } of await listedEndpoints(service.url)) {
      if (method === 'GET') continue;
      for (const name of hostileNames()) {
        const form = new FormData();
        form.set('purpose', 'batch');
        form.set('file', new Blob(['{}\n']), name);
        form.set(name, name);
        await send(path.replaceAll(PLACE, 'x'), { method, body: form });
      }
    }
    expect(pathsGiven()).toEqual([]);
  });

  it('in a header stays a name', async () => {
    const names = hostileNames().filter((name) => /^[ -~]+$/.test(name));
    for (const name of names) {
      for (const header of [
        'x-request-id',
        'x-forwarded-for',
        'traceparent',
        'authorization',
        'openai-organization',
        'origin',
        'range',
      ]) {
        await send('/model-info', { headers: { [header]: name } });
      }
    }
    expect(pathsGiven()).toEqual([]);
  });
});
