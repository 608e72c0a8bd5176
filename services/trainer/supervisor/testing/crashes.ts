/** Dies in the middle of its work with an error of Python's kind. */
import { listen, sayHello } from './speak.ts';

sayHello();
listen(() => {
  process.stderr.write('Traceback (most recent call last):\n  RuntimeError: shape mismatch\n', () => process.exit(1));
});
