/** Preloaded into a process: tells on standard error which of the packages it loads that most services do without. */
import { registerHooks } from 'node:module';

registerHooks({
  load(url, context, nextLoad) {
    if (/@opentelemetry|node_modules\/(ws|ioredis)\//.test(url)) process.stderr.write(`loads ${url}\n`);
    return nextLoad(url, context);
  },
});
