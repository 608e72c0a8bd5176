/** A child whose libraries print to stdout and stderr all the time. */
import { openLayout } from '../../runtime/open-layout.ts';
import { serveEngine } from '../serve-engine.ts';

setInterval(() => process.stdout.write(`${'x'.repeat(5000)}\n{"type":"hello"}`), 1);
setInterval(() => process.stderr.write('warning\n'), 1);
serveEngine(openLayout);
