import { listen, sayHello } from './speak.ts';

sayHello();
listen(() => process.stdout.write('Downloading: 100%|####| 5/5\n'));
