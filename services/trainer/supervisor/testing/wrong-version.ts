import { listen, sayHello } from './speak.ts';

sayHello(7);
listen(() => {});
