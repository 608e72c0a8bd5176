/**
 * A run as the fine-tuning job that somebody asked for, in OpenAI's words. Pure.
 */
import type { FineTuningJob, FineTuningRequest } from '@slipway/shared/contracts/openai/fine-tuning.ts';
import type { RunRecord } from '../../runs/run-record.ts';
import { hasEnded, type RunState } from '../../runs/run-state.ts';

const STATUS: Readonly<Record<RunState, FineTuningJob['status']>> = {
  queued: 'queued',
  preparing: 'validating_files',
  running: 'running',
  pausing: 'running',
  paused: 'paused',
  publishing: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** `etaSeconds`: until the last step, where that is known. `now`: milliseconds since the epoch. */
export function jobObject(
  run: RunRecord,
  job: FineTuningRequest,
  etaSeconds: number | null,
  now: number,
): FineTuningJob {
  const { hyperparameters, model, training_file, validation_file, seed, metadata } = job;
  const isOver = hasEnded(run.state);
  return {
    id: run.id,
    object: 'fine_tuning.job',
    created_at: secondsOf(run.created_at),
    finished_at: isOver && run.ended_at !== null ? secondsOf(run.ended_at) : null,
    estimated_finish: isOver || etaSeconds === null ? null : Math.round(now / 1000 + etaSeconds),
    model,
    fine_tuned_model: run.state === 'succeeded' ? (run.published.at(-1) ?? null) : null,
    organization_id: run.owner,
    status: STATUS[run.state],
    training_file,
    validation_file,
    result_files: [],
    trained_tokens: run.trained?.supervised_tokens ?? null,
    hyperparameters,
    method: { type: 'supervised', supervised: { hyperparameters } },
    error:
      run.failure === null || !isOver ? null : { code: run.failure.class, message: run.failure.message, param: null },
    user_provided_suffix: job.suffix,
    seed,
    metadata,
    integrations: [],
  };
}

export function secondsOf(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}
