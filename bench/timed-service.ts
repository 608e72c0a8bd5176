/**
 * The inference service as `slipway serve` starts it, in a process of its own, which also tells its parent when its engine was given each
 * sequence, gave the first token and ended it. The clock is the same in all processes. Settings come from the environment.
 */
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { startService } from '../services/inference/http/service.ts';
import { ModelRegistry } from '../services/inference/models/registry.ts';

/** As steadyNow() has it. */
export interface EngineTiming {
  /** Of the request with `-0` behind it. */
  readonly id: string;
  readonly submittedAt: number;
  readonly firstTokenAt: number;
  readonly finishedAt: number;
}

export type TimedServiceMessage = { readonly url: string } | { readonly timing: EngineTiming };

if (import.meta.main) {
  const tell = (message: TimedServiceMessage) => process.send?.(message);
  const config = await loadServiceConfig({ environment: process.env, path: null });
  const log = createLogger({ service: 'bench', level: 'error', destination: process.stderr });
  const models = new ModelRegistry(config, log);
  const service = await startService({ config, models, log });
  const { engine } = await models.mainLoaded;
  const submit = engine.submit.bind(engine);
  engine.submit = (request, onEvent) => {
    const submittedAt = steadyNow();
    let firstTokenAt = Number.NaN;
    submit(request, (event) => {
      const now = steadyNow();
      if (event.type === 'token' && Number.isNaN(firstTokenAt)) firstTokenAt = now;
      onEvent(event);
      if (event.type === 'finished') tell({ timing: { id: request.id, submittedAt, firstTokenAt, finishedAt: now } });
    });
  };
  process.once('disconnect', async () => {
    await service.close();
    process.exit(0);
  });
  tell({ url: service.url });
}
