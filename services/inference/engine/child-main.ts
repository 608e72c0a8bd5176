/**
 * The engine's child process. It gives way to the service, whose work is short and has somebody waiting for it: where both want a
 * processor, a request would else wait for the engine's turn to end.
 */
import { setPriority } from 'node:os';
import { openLayout } from '../runtime/open-layout.ts';
import { serveEngine } from './serve-engine.ts';

const NICENESS = 5;

try {
  // Threads that are there already keep theirs; those that compute come later and inherit it.
  setPriority(NICENESS);
} catch (error) {
  process.stderr.write(`the engine keeps the priority of the service: ${error}\n`);
}
serveEngine(openLayout);
