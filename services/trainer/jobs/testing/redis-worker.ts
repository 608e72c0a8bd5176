/** URL LEASE_MILLISECONDS PAUSE_MILLISECONDS */
import { workUntilAllHasEnded } from '@slipway/shared/jobs/testing/worker.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { openRedisQueue } from '../redis.ts';

const [url = '', ...rest] = process.argv.slice(2);
const log = createLogger({ service: 'worker', level: 'silent', destination: silence });
await workUntilAllHasEnded(openRedisQueue(url, log, { stalledCheck: 100 }), rest);
