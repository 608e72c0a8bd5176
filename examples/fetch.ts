/** Prints an answer as it comes, by fetch alone: server-sent events are lines of text. */
const url = process.env.SLIPWAY_URL || 'http://127.0.0.1:8080';
const prompt = process.argv[2] ?? 'ROMEO:';

const response = await fetch(`${url}/generate`, {
  method: 'POST',
  headers: { Authorization: `Bearer ${process.env.SLIPWAY_API_KEY ?? ''}`, 'Content-Type': 'application/json' },
  body: JSON.stringify({ prompt, max_new_tokens: 40, temperature: 0, stream: true }),
  // Leaving early also ends the work in the service.
  signal: AbortSignal.timeout(60_000),
});
if (!response.ok || response.body === null) throw new Error(`${response.status}: ${await response.text()}`);

process.stdout.write(prompt);
let unread = '';
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  const events = (unread + chunk).split('\n\n');
  unread = events.pop() ?? '';
  for (const event of events) show(event);
}

function show(event: string): void {
  const name = /^event: (.*)$/m.exec(event)?.[1];
  const data = JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '{}');
  if (name === 'error') throw new Error(data.error.message);
  if (name === 'done')
    console.log(`\n(${data.usage.completion_tokens} tokens, ${data.timings.tokens_per_second} per second)`);
  else process.stdout.write(data.text);
}
