import { listen, say, sayHello } from './speak.ts';

sayHello();
listen(() => say({ type: 'stopped', reason: 'paused', step: 'the third', checkpoint: null }));
