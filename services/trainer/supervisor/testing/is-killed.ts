import { listen, sayHello } from './speak.ts';

sayHello();
listen(() => process.kill(process.pid, 'SIGKILL'));
