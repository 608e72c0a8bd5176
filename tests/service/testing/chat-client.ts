/**
 * Talks to a service's chat over HTTP, and knows how a small template writes a conversation.
 */
import { type Answered, answered } from './test-service.ts';

/** Roles must alternate after the instructions, as many real templates insist. */
export const STRICT_TEMPLATE = `{%- set shift = 1 if messages[0].role == 'system' else 0 -%}
{%- for message in messages -%}
{%- if message.role != 'system' and (message.role == 'user') != ((loop.index0 - shift) % 2 == 0) -%}
{{- raise_exception('roles must alternate user/assistant') -}}
{%- endif -%}
<{{ message.role }}>{{ message.content }}
{% endfor -%}
<assistant>`;

export interface Message {
  readonly role: string;
  readonly content: string;
}

export const user = (content: string): Message => ({ role: 'user', content });
export const assistant = (content: string): Message => ({ role: 'assistant', content });
export const system = (content: string): Message => ({ role: 'system', content });

/** Greedy: the answer follows from all that the model is shown. */
const GREEDY = { temperature: 0, max_tokens: 8, min_new_tokens: 8 };

export class ChatClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    this.#headers = headers;
  }

  async ask(body: object, signal?: AbortSignal): Promise<Answered> {
    return answered(await this.#post({ ...GREEDY, ...body }, signal));
  }

  stream(body: object, signal?: AbortSignal): Promise<Response> {
    return this.#post({ ...GREEDY, ...body, stream: true }, signal);
  }

  async session(id: string, method: 'GET' | 'DELETE' = 'GET', query = ''): Promise<Answered> {
    return this.at(`/${id}${query}`, method);
  }

  async list(query = ''): Promise<Answered> {
    return this.at(query);
  }

  async at(rest: string, method: 'GET' | 'DELETE' = 'GET'): Promise<Answered> {
    return answered(await fetch(`${this.#url}/api/v1/chat/sessions${rest}`, { method, headers: this.#headers }));
  }

  #post(body: object, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.#url}/api/v1/chat/completions`, {
      method: 'POST',
      headers: this.#headers,
      body: JSON.stringify(body),
      signal: signal ?? null,
    });
  }
}
