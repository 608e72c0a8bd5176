/**
 * The least that a server in Node can do for a client of OpenAI's: reads the request, parses it, and answers at once and always the same.
 * What it takes is what the client, HTTP and the system take themselves.
 */
import { createServer } from 'node:http';

export interface BareServerMessage {
  readonly url: string;
}

const ANSWER = {
  id: 'bare',
  object: 'chat.completion',
  created: 0,
  choices: [
    { index: 0, finish_reason: 'length', message: { role: 'assistant', content: 'as always' }, logprobs: null },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
};

if (import.meta.main) {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { model } = JSON.parse(Buffer.concat(parts).toString('utf8'));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...ANSWER, model }));
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    process.send?.({ url: `http://127.0.0.1:${address.port}` } satisfies BareServerMessage);
  });
  process.once('disconnect', () => process.exit(0));
}
