/**
 * Reads the data of server-sent events, one parsed JSON value each, until OpenAI's [DONE] or the end. Knows nothing of what they say.
 */
import { asServiceError, ServiceError } from './service-error.ts';

const DONE = '[DONE]';

/** ServiceError when the connection breaks, or when it ends before [DONE]: the answer is then not whole. */
export async function* readEvents(response: Response): AsyncGenerator<unknown> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done)
        throw new ServiceError({ kind: 'unreachable', message: 'the stream ended in the middle', retryAfter: null });
      buffer += value.replaceAll('\r\n', '\n');
      for (let end = buffer.indexOf('\n\n'); end !== -1; end = buffer.indexOf('\n\n')) {
        const data = dataOf(buffer.slice(0, end));
        buffer = buffer.slice(end + 2);
        if (data === DONE) return;
        if (data !== '') yield JSON.parse(data);
      }
    }
  } catch (error) {
    throw asServiceError(error);
  } finally {
    // Whoever stops reading lets go of the connection.
    void reader.cancel().catch(() => {});
  }
}

/** Comments, names and ids are of no use here. */
function dataOf(event: string): string {
  return event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trimStart())
    .join('\n');
}
