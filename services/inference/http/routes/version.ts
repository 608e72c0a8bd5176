/**
 * `GET /version`, as vLLM has it.
 */
import packageJson from '../../package.json' with { type: 'json' };
import type { Route } from '../service-parts.ts';

export function versionRoute(): Route {
  return (context) => context.json({ version: packageJson.version });
}
