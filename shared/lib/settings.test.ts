import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { bytes, choice, flag, integer, readSettings, text } from './settings.ts';

const table = {
  port: integer(0, 65_535, 8080, { env: 'PORT', file: 'SERVER.PORT' }),
  maxNewTokens: integer(1, 1000, 512, { env: 'MAX_NEW_TOKENS', file: 'GENERATION.MAX_NEW_TOKENS' }),
  model: text(null, { env: 'MODEL', file: 'HUGGINGFACE_MODEL.NAME' }),
  level: choice(['info', 'warn'], 'info', { env: 'LEVEL' }),
};
const read = (sources: { flags?: object; environment?: object; yaml?: string }) =>
  readSettings(table, {
    flags: { ...sources.flags },
    environment: { ...sources.environment },
    ...(sources.yaml === undefined ? {} : { file: { label: 'config.yml', root: parse(sources.yaml) } }),
  });

describe('readSettings', () => {
  it('prefers flags to environment to file to defaults', () => {
    const yaml = 'SERVER: {PORT: 3}';
    expect(read({ flags: { port: '1' }, environment: { PORT: '2' }, yaml }).settings.port).toBe(1);
    expect(read({ environment: { PORT: '2' }, yaml }).settings.port).toBe(2);
    expect(read({ yaml }).settings.port).toBe(3);
    expect(read({}).settings).toEqual({ port: 8080, maxNewTokens: 512, model: null, level: 'info' });
  });

  it('takes an empty variable and an empty key as not given', () => {
    expect(read({ environment: { PORT: '', MODEL: '' }, yaml: 'SERVER:\nGENERATION: {MAX_NEW_TOKENS: }' })).toEqual({
      settings: { port: 8080, maxNewTokens: 512, model: null, level: 'info' },
      problems: [],
    });
  });

  it('lists every problem at once, with its place, range and value', () => {
    const { problems } = read({
      flags: { level: 'loud' },
      environment: { PORT: '80.5' },
      yaml: 'GENERATION: {MAX_NEW_TOKENS: 0}\nHUGGINGFACE_MODEL: {NAME: [a]}',
    });
    expect(problems).toEqual([
      'PORT must be an integer from 0 to 65535, but is "80.5"',
      'config.yml: GENERATION.MAX_NEW_TOKENS must be an integer from 1 to 1000, but is 0',
      'config.yml: HUGGINGFACE_MODEL.NAME must be a text that is not empty, but is ["a"]',
      '--level must be one of info, warn, but is "loud"',
    ]);
  });

  it('names unknown keys at any depth and the nearest known one', () => {
    expect(read({ yaml: 'GENERATION: {MAX_TOKENS: 5}\nSERVERS: {PORT: 1}\nPORT: 80' }).problems).toEqual([
      'config.yml: GENERATION.MAX_TOKENS is not known; did you mean GENERATION.MAX_NEW_TOKENS?',
      'config.yml: SERVERS is not known; did you mean SERVER.PORT?',
      'config.yml: PORT is not known; did you mean SERVER.PORT?',
    ]);
  });

  it('refuses what is no section', () => {
    expect(read({ yaml: 'SERVER: 8080' }).problems).toEqual([
      'config.yml: SERVER must be a section with keys, but is 8080',
    ]);
    expect(read({ yaml: '- a' }).problems[0]).toMatch(/the file must be a section/);
    expect(read({ yaml: '' }).problems).toEqual([]);
  });
});

describe('bytes and flags', () => {
  const small = { room: bytes(null, { env: 'ROOM' }), lazy: flag(false, { env: 'LAZY' }) };
  const of = (environment: Record<string, string>) => readSettings(small, { flags: {}, environment });

  it.each([
    ['1024', 1024],
    ['512MiB', 2 ** 29],
    ['1.5 GiB', 1.5 * 2 ** 30],
  ])('%s is %d bytes', (text, expected) => expect(of({ ROOM: text }).settings.room).toBe(expected));

  it('reads what a shell can say', () => {
    expect(of({ LAZY: 'true' }).settings.lazy).toBe(true);
    expect(of({}).settings).toEqual({ room: null, lazy: false });
  });

  it('refuses anything else', () => {
    expect(of({ ROOM: '2 GB', LAZY: 'yes' }).problems).toEqual([
      'ROOM must be a number of bytes above 0, such as 1.5GiB (KiB, MiB, GiB, TiB), but is "2 GB"',
      'LAZY must be true or false, but is "yes"',
    ]);
    expect(of({ ROOM: '0' }).problems).toHaveLength(1);
  });
});
