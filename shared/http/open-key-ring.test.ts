import { expect, it } from 'vitest';
import { createLogger } from '../lib/log.ts';
import { openKeyRing } from './open-key-ring.ts';

async function saidOf(settings: { readonly apiKey: string | null; readonly host: string }): Promise<string> {
  let said = '';
  const destination = {
    write(line: string) {
      said += line;
    },
  };
  const log = createLogger({ service: 'test', level: 'info', destination });
  const { unfollow } = await openKeyRing({ ...settings, apiKeysFile: null }, log);
  unfollow();
  return said;
}

it.each([
  [{ apiKey: null, host: '0.0.0.0' }, /"level":"warn".*whoever reaches this port may use the service/],
  [{ apiKey: null, host: '127.0.0.1' }, /^$/],
  [{ apiKey: 'key', host: '0.0.0.0' }, /^$/],
])('a service of %j warns when others can reach it without a key', async (settings, expected) => {
  expect(await saidOf(settings)).toMatch(expected);
});
