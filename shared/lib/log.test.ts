import { describe, expect, it } from 'vitest';
import { createLogger } from './log.ts';

function capture(secrets: string[]) {
  const lines: string[] = [];
  const log = createLogger({
    service: 'test',
    level: 'info',
    secrets,
    destination: { write: (line) => lines.push(line) },
  });
  return { log, lines };
}

describe('createLogger', () => {
  it('writes JSON with the level in words, the service and the instance', () => {
    const { log, lines } = capture([]);
    log.info({ request_id: 'r1' }, 'hello');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      service: 'test',
      request_id: 'r1',
      msg: 'hello',
    });
    expect(JSON.parse(lines[0] ?? '').instance).toMatch(/:\d+$/);
  });

  it('never writes a secret, wherever it turns up', () => {
    const { log, lines } = capture(['s3"cret', '']);
    log.info({ authorization: 'Bearer x', nested: { apiKey: 'y' }, note: 'key s3"cret' }, 'with s3"cret');
    log.error(new Error('failed for s3"cret'));
    expect(lines.join('')).not.toMatch(/s3|cret|Bearer|"y"/);
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  });

  it('writes a line as one line, whatever counts as its end', () => {
    const { log, lines } = capture([]);
    const path = '/a\nb\rc\u0085d\u2028e\u2029f';
    log.info({ path });
    expect(lines.join('').trimEnd()).not.toMatch(/[\n\r\u0085\u2028\u2029]/);
    expect(JSON.parse(lines[0] ?? '').path).toBe(path);
  });
});
