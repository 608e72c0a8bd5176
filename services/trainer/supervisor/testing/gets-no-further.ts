/** Its heart beats, but no step ends; it ignores every word and SIGTERM. */
import { listen, say, sayHello } from './speak.ts';

process.on('SIGTERM', () => {});
sayHello();
listen(() => setInterval(() => say({ type: 'heartbeat' }), 20));
