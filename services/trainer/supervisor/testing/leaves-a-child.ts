/** Says that it is done and ends, while something that it started holds its pipes and would live on. */
import { spawn } from 'node:child_process';
import { listen, say, sayHello } from './speak.ts';

sayHello();
listen(() => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  say({ type: 'done', result: { child: child.pid } });
  say({
    type: 'failed',
    class: 'internal',
    message: 'a second last word',
    step: null,
    example: null,
    checkpoint: null,
  });
  setTimeout(() => process.exit(3), 50);
});
