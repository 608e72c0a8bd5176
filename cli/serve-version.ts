/**
 * A version to be asked by a command: served by a service that is started for it, with a client of that service.
 */
import { ServiceClient } from '@slipway/shared/lines/service-client.ts';
import type { ServeVersion } from '@slipway/trainer/evaluation';
import { withOwnService } from './own-service.ts';

/** What a service allows by itself; a model's memory grows with it. */
const USUAL_NEW_TOKENS = 512;

/** Other versions of the bucket are loaded when they are asked. */
export const serveVersion: ServeVersion = ({ name, bucketUrl, maxNewTokens, atOnce }, signal, use) =>
  withOwnService(
    {
      model: name,
      bucketUrl: bucketUrl ?? undefined,
      occupancySemaphore: atOnce,
      modelsOnDemand: true,
      maxNewTokens: Math.max(USUAL_NEW_TOKENS, maxNewTokens),
    },
    signal,
    (url) => withServiceClient(url, undefined, atOnce, use),
  );

/** AppError not_found when nobody answers there. */
export async function withServiceClient<T>(
  url: string,
  apiKey: string | undefined,
  atOnce: number,
  use: (client: ServiceClient) => Promise<T>,
): Promise<T> {
  const client = new ServiceClient(url, apiKey, atOnce);
  try {
    await client.requireService();
    return await use(client);
  } finally {
    client.close();
  }
}
