/**
 * Reads server-sent events strictly: what the format does not allow is an error here, so that a test sees it.
 */
export interface ServerSentEvent {
  readonly event: string | undefined;
  readonly data: unknown;
}

export async function* readEvents(response: Response): AsyncGenerator<ServerSentEvent> {
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream'))
    throw new Error(`not an event stream but ${type}: ${await response.text()}`);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let buffer = '';
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true });
    for (let end = buffer.indexOf('\n\n'); end !== -1; end = buffer.indexOf('\n\n')) {
      yield parseEvent(buffer.slice(0, end));
      buffer = buffer.slice(end + 2);
    }
  }
  if (buffer !== '') throw new Error(`the stream ended inside an event: ${JSON.stringify(buffer)}`);
}

export async function allEvents(response: Response): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(response)) events.push(event);
  return events;
}

function parseEvent(block: string): ServerSentEvent {
  let event: string | undefined;
  let data: string | undefined;
  for (const line of block.split('\n')) {
    const [, field, value] = /^(event|data): (.*)$/.exec(line) ?? [];
    if (field === 'event' && event === undefined) event = value;
    else if (field === 'data' && data === undefined) data = value;
    else throw new Error(`not a line of an event: ${JSON.stringify(line)}`);
  }
  if (data === undefined) throw new Error(`an event without data: ${JSON.stringify(block)}`);
  return { event, data: JSON.parse(data) };
}
