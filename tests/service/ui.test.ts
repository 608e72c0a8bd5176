/** The playground's files as a service hands them out, one that asks for a key and one that does not. */
import { afterEach, expect, it } from 'vitest';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService | undefined;
afterEach(() => service?.close());

it('needs no key and may run only what comes from here', async () => {
  service = await startTestService({ config: { apiKey: 'a-key-for-the-tests' } });
  const response = await fetch(`${service.url}/ui`);
  expect([200, 503]).toContain(response.status);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'self'");
  expect((await fetch(`${service.url}/ui/assets/no.js`)).status).toBe(404);
  expect((await fetch(`${service.url}/model-info`)).status).toBe(401);
});
