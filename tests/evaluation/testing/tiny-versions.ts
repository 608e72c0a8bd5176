/**
 * A model of a few thousand random weights with a chat template, in two precisions, served: and what one asks of it.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceClient } from '@slipway/shared/lines/service-client.ts';
import type { EvaluationRequest } from '@slipway/trainer/evaluation';
import { readGolden } from '../../../services/converter/testing/golden.ts';
import { makeScratch } from '../../converter/testing/bucket-folder.ts';
import { slipway } from '../../converter/testing/slipway.ts';
import { startSlipway } from '../../playground/testing/running-slipway.ts';

export async function serveTinyVersions() {
  const folder = await makeScratch();
  const bucket = join(folder, 'bucket');
  const { source } = await readGolden('llama-grouped-tied');
  for (const precision of ['fp32', 'int8']) {
    const args = ['convert', source, '--name', 'tiny', '--precision', precision, '--allow-drift', '--bucket', bucket];
    const { code, errors } = await slipway(args);
    if (code !== 0) throw new Error(errors.join('\n'));
  }
  const service = await startSlipway(['serve', 'tiny@v001', '--bucket', bucket, '--port', '0', '--on-demand']);
  const client = new ServiceClient(service.url, undefined, 4);
  return {
    /** The checkpoint that both were made of. */
    source,
    folder,
    url: service.url,
    request(data: string, change: Partial<EvaluationRequest> = {}): EvaluationRequest {
      return {
        client,
        versions: [{ name: 'tiny@v001', manifest: null }],
        sources: [data],
        format: 'auto',
        columns: {},
        limit: null,
        cacheFolder: folder,
        metrics: null,
        maxNewTokens: 16,
        temperature: 0,
        seed: 1,
        atOnce: 4,
        scoring: null,
        signal: new AbortController().signal,
        onProgress: () => {},
        ...change,
      };
    },
    async stop() {
      client.close();
      await service.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
