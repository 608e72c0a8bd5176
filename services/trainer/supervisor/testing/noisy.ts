/** Prints far more than anybody keeps, without line breaks too, and does its work all the same. */
import { listen, say, sayHello } from './speak.ts';

sayHello();
listen(() => {
  for (let line = 0; line < 20_000; line++) process.stderr.write(`warning ${line}: ${'z'.repeat(200)}\n`);
  process.stderr.write('y'.repeat(5_000_000));
  process.stderr.write('\nlast words\n', () => {
    for (let n = 0; n < 5000; n++) say({ type: 'log', level: 'info', message: `line ${n}` });
    say({ type: 'done', result: { lines: 5000 } });
  });
});
