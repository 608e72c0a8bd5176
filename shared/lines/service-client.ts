/**
 * Requests to a running service, by Node's own client: `fetch` gives up on an answer that takes five minutes.
 */
import { once } from 'node:events';
import * as plain from 'node:http';
import * as secure from 'node:https';
import { AppError } from '../contracts/errors.ts';
import type { EndpointAnswer } from '../contracts/openai/batch-line.ts';
import type { Attempt } from './ask-until-answered.ts';

export type ServiceAnswer = EndpointAnswer & Attempt;

/** What stands for "nobody answers" among the statuses: it may pass. */
const NOBODY = 503;
const SHOWN = 200;

export class ServiceClient {
  readonly #url: string;
  readonly #client: typeof plain | typeof secure;
  readonly #agent: plain.Agent | secure.Agent;
  readonly #headers: Record<string, string>;

  constructor(url: string, apiKey: string | undefined, atOnce: number) {
    this.#url = url;
    this.#client = url.startsWith('https:') ? secure : plain;
    this.#agent = new this.#client.Agent({ keepAlive: true, maxSockets: atOnce });
    this.#headers = {
      'content-type': 'application/json',
      ...(apiKey === undefined || apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` }),
    };
  }

  /** AppError not_found when nobody answers there at all. */
  async requireService(): Promise<void> {
    const response = await this.#send('GET', '/healthz', undefined, AbortSignal.timeout(10_000)).catch((error) => {
      throw new AppError('not_found', `no service answers at ${this.#url}; start one with slipway serve`, {
        cause: error,
      });
    });
    response.resume();
  }

  /** AppError unauthorized or forbidden, which all lines would get. Rejects with the signal's reason. */
  async ask(path: string, body: object, signal: AbortSignal): Promise<ServiceAnswer> {
    try {
      const response = await this.#send('POST', path, JSON.stringify(body), signal);
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      return answerOf(response, text);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AppError) throw error;
      const message = `no service answers at ${this.#url}: ${error instanceof Error ? error.message : String(error)}`;
      return { status: NOBODY, requestId: '', body: { error: { message } } };
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(
    method: string,
    path: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<plain.IncomingMessage> {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = this.#client.request(new URL(path, this.#url), {
      method,
      agent: this.#agent,
      headers: { ...this.#headers, ...length },
      signal,
    });
    request.end(body);
    const [response] = await once(request, 'response');
    return response;
  }
}

function answerOf({ statusCode = 0, headers }: plain.IncomingMessage, text: string): ServiceAnswer {
  const body = bodyOf(text);
  if (statusCode === 401 || statusCode === 403) {
    throw new AppError(statusCode === 401 ? 'unauthorized' : 'forbidden', messageIn(body));
  }
  const retryAfter = Number(headers['retry-after']);
  return {
    status: statusCode,
    requestId: String(headers['x-request-id'] ?? ''),
    body,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  };
}

/** What is no JSON comes from something between, a proxy's page. */
function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { error: { message: `no JSON was answered: ${text.slice(0, SHOWN)}` } };
  }
}

/** Of an error in our shape or in OpenAI's. */
export function messageIn(body: unknown): string {
  const error: unknown = Reflect.get(Object(body), 'error');
  return String(Reflect.get(Object(error), 'message') ?? 'the service gave no reason');
}
