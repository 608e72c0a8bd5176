/**
 * Where sessions are kept, by the settings. What it takes is loaded when the first session is asked for.
 */
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { SessionStore } from './session-store.ts';

type SessionSettings = Pick<ServiceConfig, 'dataFolder' | 'sessionsUrl' | 'sessionTtlSeconds' | 'maxSessions'>;

/** AppError sessions_unavailable. */
export async function openSessionStore(settings: SessionSettings, log: Logger): Promise<SessionStore> {
  const bounds = { ttlSeconds: settings.sessionTtlSeconds, maxSessions: settings.maxSessions };
  if (settings.sessionsUrl !== null) {
    const { openRedisStore } = await import('./redis-store.ts');
    return openRedisStore(settings.sessionsUrl, bounds, log);
  }
  const { openSqliteStore } = await import('./sqlite-store.ts');
  return openSqliteStore(settings.dataFolder, bounds);
}
