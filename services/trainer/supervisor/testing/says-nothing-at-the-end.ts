import { listen, sayHello } from './speak.ts';

sayHello();
listen(() => process.exit(0));
