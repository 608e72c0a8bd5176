/** Preloaded into a process: tells on standard error which packages of OpenTelemetry it loads. */
import { registerHooks } from 'node:module';

registerHooks({
  load(url, context, nextLoad) {
    if (url.includes('@opentelemetry')) process.stderr.write(`loads ${url}\n`);
    return nextLoad(url, context);
  },
});
