/** Server-sent events by a reader that can leave at any event. */
export interface FeedEvent {
  readonly id: number;
  readonly event: string | undefined;
  readonly data: string;
}

/** Until the feed ends, or `isEnough`. */
export async function readFeed(
  url: string,
  after = 0,
  isEnough: (event: FeedEvent) => boolean = () => false,
): Promise<{ status: number; events: FeedEvent[]; comments: number }> {
  const leave = new AbortController();
  const headers = after === 0 ? {} : { 'Last-Event-ID': String(after) };
  const response = await fetch(url, { headers, signal: leave.signal });
  const events: FeedEvent[] = [];
  let comments = 0;
  let rest = '';
  try {
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parse(block);
        if (event === undefined) {
          comments++;
          continue;
        }
        events.push(event);
        if (isEnough(event)) {
          leave.abort();
          return { status: response.status, events, comments };
        }
      }
    }
  } catch (error) {
    // A service that was killed in mid-sentence: what was whole counts.
    if (!(error instanceof TypeError)) throw error;
  }
  return { status: response.status, events, comments };
}

function parse(block: string): FeedEvent | undefined {
  const fields = block.split('\n').map((line) => /^(\w*): ?(.*)$/.exec(line));
  const all = (name: string) => fields.flatMap((field) => (field?.[1] === name ? [field[2] ?? ''] : []));
  const [id] = all('id');
  if (id === undefined) return undefined;
  return { id: Number(id), event: all('event')[0], data: all('data').join('\n') };
}
