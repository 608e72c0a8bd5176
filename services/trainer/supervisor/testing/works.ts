/** Does everything right: a step every few milliseconds, ears for pause and cancel between two of them. */
import { listen, say, sayHello } from './speak.ts';

let wish: string | undefined;
sayHello();
listen(
  (job) => {
    let step = 0;
    const timer = setInterval(() => {
      step++;
      if (wish !== undefined) {
        clearInterval(timer);
        const reason = wish === 'pause' ? 'paused' : 'cancelled';
        say({ type: 'stopped', reason, step, checkpoint: reason === 'paused' ? '/checkpoint' : null });
        return;
      }
      say({ type: 'checkpoint', step, path: `/step-${step}`, bytes: 1, best: false });
      if (step === job.steps) say({ type: 'done', result: { step } });
    }, 10);
  },
  (word) => {
    wish = word;
  },
);
