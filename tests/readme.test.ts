/** `slipway up` answers the README's call with the README's answer. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

/** All of an answer that must not differ from call to call, on any machine. */
function lasting(json: string): unknown {
  const { id, timings, request_id, system_fingerprint, ...rest } = JSON.parse(json);
  return rest;
}

it('the call in the README gives the answer in the README', async () => {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const body = /-d '(\{.*\})'/.exec(readme)?.[1] ?? '';
  const shown = /```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const service = spawn(process.execPath, [join(ROOT, 'cli', 'main.ts'), 'up', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let output = '';
    const url = await new Promise<string>((found, fail) => {
      service.once('close', (code) => fail(new Error(`slipway up ended with ${code}`)));
      service.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const address = /answers on (http:\/\/\S+)/.exec(output)?.[1];
        if (address !== undefined) found(address);
      });
    });
    const response = await fetch(`${url}/generate`, { method: 'POST', body });
    expect(response.status).toBe(200);
    expect(lasting(await response.text())).toEqual(lasting(shown));
  } finally {
    service.kill('SIGKILL');
  }
});
