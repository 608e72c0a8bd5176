/** Draining waits for readers, not only for answers: what was cut off is said to have been cut off. */
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, post, type RawClient } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

/** An answer larger than what the system takes for a reader who does not read, fully made. */
async function startUnread(): Promise<RawClient> {
  service = await startTestService({ contextLength: 4096, slots: 10, config: { maxNewTokens: 1000 } });
  const client = await post(service.url, '/generate', {
    prompt: 'much',
    max_new_tokens: 1000,
    num_return_sequences: 10,
    logprobs: 20,
    ignore_eos: true,
    stream: true,
  });
  await client.sees('token_ids');
  client.socket.pause();
  await eventually(
    async () => (await service.get('/health')).body.running,
    (running) => running === 0,
    30_000,
  );
  return client;
}

describe('draining', () => {
  it('has cut off a reader who does not read', async () => {
    const client = await startUnread();
    expect(await service.drain(1)).toBe(false);
    client.socket.destroy();
  });

  it('waits for a slow one, who gets all of it', async () => {
    const client = await startUnread();
    setTimeout(() => client.socket.resume(), 2_500);
    expect(await service.drain(30)).toBe(true);
    await service.close();
    await eventually(
      () => client.received(),
      (received) => received.includes('event: done') && received.endsWith('\r\n0\r\n\r\n'),
      20_000,
    );
  });

  it('is not held up by connections that ask nothing', async () => {
    service = await startTestService({});
    const client = await post(service.url, '/generate', { prompt: 'a', max_new_tokens: 1 });
    await client.sees('200 OK');
    expect(await service.drain(20)).toBe(true);
  });
});
