/**
 * Bytes of a URL from an offset on, over HTTP/1.1 with redirects followed. Owns that a token never leaves the hub's own origin.
 * Not `fetch`: it would take HTTP/2 with small windows, which makes one large download slow, and hides the redirects' headers.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { PassingFailure } from './retry.ts';

export interface RangedRequest {
  readonly offset: number;
  /** The entity tag the bytes before `offset` came with: when the file has another by now, all of it comes. */
  readonly ifRange: string | null;
  /** Sent to the origin of the first URL only. */
  readonly token: string | null;
  readonly signal: AbortSignal;
}

const MOST_REDIRECTS = 8;

/** Any status below 300 or above 399. Rejects with PassingFailure when there is no answer. */
export async function rangedGet(url: URL, request: RangedRequest): Promise<IncomingMessage> {
  let place = url;
  for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
    const response = await get(place, { ...request, token: place.origin === url.origin ? request.token : null });
    const { statusCode = 0, headers } = response;
    if (statusCode < 300 || statusCode > 399 || headers.location === undefined) return response;
    response.resume();
    place = new URL(headers.location, place);
    if (place.protocol !== 'https:' && place.protocol !== url.protocol) {
      throw new PassingFailure('the hub sent the download to an address without encryption');
    }
  }
  throw new PassingFailure(`the hub sent the download through more than ${MOST_REDIRECTS} addresses`);
}

function get(url: URL, { offset, ifRange, token, signal }: RangedRequest): Promise<IncomingMessage> {
  const headers = {
    'user-agent': 'slipway',
    'accept-encoding': 'identity',
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(offset === 0 ? {} : { range: `bytes=${offset}-` }),
    ...(offset === 0 || ifRange === null ? {} : { 'if-range': ifRange }),
  };
  return new Promise((resolve, reject) => {
    const start = url.protocol === 'https:' ? requestHttps : requestHttp;
    const sent = start(url, { headers, signal }, resolve);
    sent.once('error', (error) => {
      reject(signal.aborted ? error : new PassingFailure(`the connection failed (${error.message})`, undefined, error));
    });
    sent.end();
  });
}
