/** What every kernel of these tests does first: say hello, and wait for its job. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export function say(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

export function sayHello(protocol = 1): void {
  say({ type: 'hello', protocol, kernel: '0.0.0', python: '3.11.0', libraries: { torch: '0.0' } });
}

/** `onJob` gets the content of the job's file; `onWord` every later message. The parent's end is the end of this process. */
export function listen(onJob: (job: Record<string, unknown>) => void, onWord: (type: string) => void = () => {}): void {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const message = JSON.parse(line);
    if (message.type === 'job') onJob(JSON.parse(readFileSync(message.path, 'utf8')));
    else onWord(message.type);
  });
  lines.on('close', () => process.exit(0));
}
