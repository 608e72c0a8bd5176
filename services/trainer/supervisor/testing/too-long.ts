/** One message without an end. */
import { listen, sayHello } from './speak.ts';

sayHello();
listen(() => {
  const write = () => process.stdout.write('x'.repeat(1 << 16), write);
  write();
});
