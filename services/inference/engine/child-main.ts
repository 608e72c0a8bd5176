/** The engine's child process. */
import { openLayout } from '../runtime/open-layout.ts';
import { serveEngine } from './serve-engine.ts';

serveEngine(openLayout);
