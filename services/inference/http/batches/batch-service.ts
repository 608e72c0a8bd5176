/**
 * What a service keeps of its users' files and batches, and who works on them, put together.
 */
import { join } from 'node:path';
import { FileStore } from '@slipway/shared/files/file-store.ts';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import { LeftoverRoom } from '../../generation/leftover-room.ts';
import type { ServiceParts } from '../service-parts.ts';
import { BatchWorker } from './batch-worker.ts';
import { type BatchService, JOBS_FILE } from './lazy-batches.ts';
import { lineEndpoints } from './line-endpoints.ts';

export async function openBatches(parts: ServiceParts): Promise<BatchService> {
  const { config, occupancy, log } = parts;
  const files = await FileStore.open(config.dataFolder);
  const jobs = openEmbeddedQueue(join(config.dataFolder, JOBS_FILE));
  const atOnce = config.batchLines ?? Math.max(1, Math.floor(config.occupancySemaphore / 2));
  const room = new LeftoverRoom(occupancy, atOnce);
  const worker = new BatchWorker({
    files,
    jobs,
    folder: join(config.dataFolder, 'batches'),
    ask: lineEndpoints(parts, room),
    whenRoomy: (signal) => room.whenRoomy(signal),
    atOnce,
    mostLineBytes: config.bodyLimitBytes,
    log,
  });
  return {
    files,
    jobs,
    start: () => worker.start(),
    wake: () => worker.wake(),
    stop: () => worker.stop(),
    async close() {
      await jobs.close();
      files.close();
    },
  };
}
