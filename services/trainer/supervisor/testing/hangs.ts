/** Lives, with all its threads standing still: no heartbeat, no answer, and no ear for SIGTERM. */
import { listen, sayHello } from './speak.ts';

process.on('SIGTERM', () => {});
sayHello();
listen(() => setInterval(() => {}, 1000));
