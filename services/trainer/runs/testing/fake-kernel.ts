/**
 * A kernel that speaks the real protocol and trains nothing: its loss follows from every step before it, so that one step too many or too
 * few shows in all that come after. Sizes and faults stand in the job's model configuration.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listen, say, sayHello } from '../../supervisor/testing/speak.ts';

interface Job {
  readonly folder: string;
  readonly resume: string | null;
  readonly samples: readonly { readonly prompt: readonly number[] }[];
  readonly model: {
    readonly config: {
      readonly step_milliseconds?: number;
      /** For so long it writes its model, and hears nothing. */
      readonly model_milliseconds?: number;
      readonly fault?: Fault;
      readonly steps?: number;
    };
  };
  readonly training: {
    /** Null: epochs say how many, which the configuration knows here. */
    readonly max_steps: number | null;
    readonly checkpoint_every: number | 'auto';
    readonly micro_batch_size: number | 'auto';
  };
}

interface Fault {
  readonly kind: 'segfault' | 'hangs' | 'out_of_memory' | 'not_finite' | 'disk_full';
  /** Before this step. */
  readonly step: number;
  readonly times: number;
}

let wish: string | undefined;

function nextLoss(loss: number, step: number): number {
  return loss * 0.9 + Math.sin(step * 12.9898) * 0.01;
}

function writeCheckpoint(folder: string, step: number, loss: number): string {
  const name = `step-${String(step).padStart(8, '0')}`;
  const path = join(folder, 'checkpoints', name);
  const partial = join(folder, 'checkpoints', `.${name}.partial`);
  mkdirSync(partial, { recursive: true });
  const state = JSON.stringify({ step, loss });
  writeFileSync(join(partial, 'state.json'), state);
  const hash = createHash('sha256').update(state).digest('hex');
  writeFileSync(join(partial, 'checkpoint.json'), JSON.stringify({ schema: 1, step, files: { 'state.json': hash } }));
  rmSync(path, { recursive: true, force: true });
  renameSync(partial, path);
  say({ type: 'checkpoint', step, path, bytes: state.length, best: false });
  return path;
}

/** True as often as the fault is to happen: a file counts over all attempts. */
function strikes(folder: string, fault: Fault | undefined, step: number): boolean {
  if (fault === undefined || fault.step !== step) return false;
  const file = join(folder, 'struck');
  const struck = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (struck >= fault.times) return false;
  writeFileSync(file, String(struck + 1));
  return true;
}

function fail(kind: Fault['kind'], step: number): void {
  if (kind === 'segfault') process.kill(process.pid, 'SIGSEGV');
  if (kind === 'hangs') process.kill(process.pid, 'SIGSTOP');
  if (kind === 'out_of_memory') process.stderr.write('MemoryError\n', () => process.exit(1));
  if (kind === 'not_finite' || kind === 'disk_full')
    say({ type: 'failed', class: kind, message: `it is ${kind}`, step, example: 7, checkpoint: null });
}

function train({ folder, resume, samples, model, training }: Job): void {
  const { step_milliseconds = 1, model_milliseconds = 0, fault, steps = 10 } = model.config;
  const total = training.max_steps ?? steps;
  const every = training.checkpoint_every === 'auto' ? 5 : training.checkpoint_every;
  let { step, loss } =
    resume === null ? { step: 0, loss: 5 } : JSON.parse(readFileSync(join(resume, 'state.json'), 'utf8'));
  const micro = training.micro_batch_size === 'auto' ? 8 : training.micro_batch_size;
  say({
    type: 'started',
    device: 'cpu',
    precision: 'fp32',
    world_size: 1,
    parameters: 10,
    trainable_parameters: 10,
    total_steps: total,
    step,
    micro_batch_size: micro,
    accumulation: 8 / micro,
    tokens_per_step: 64,
    resumed_from: resume === null ? null : step,
  });
  const advance = () => {
    if (wish !== undefined) {
      const reason = wish === 'pause' ? 'paused' : 'cancelled';
      const checkpoint = reason === 'paused' ? writeCheckpoint(folder, step, loss) : null;
      say({ type: 'stopped', reason, step, checkpoint });
      return;
    }
    if (fault !== undefined && strikes(folder, fault, step + 1)) {
      fail(fault.kind, step + 1);
      return;
    }
    step++;
    loss = nextLoss(loss, step);
    process.stderr.write(`did step ${step}\n`);
    say({
      type: 'progress',
      step,
      total_steps: total,
      epoch: step / 10,
      loss,
      learning_rate: 0.001,
      gradient_norm: 1,
      tokens_per_second: 1000,
      supervised_tokens_per_second: 1000,
      padding_ratio: 0,
      memory_bytes: 1,
      seconds: step,
    });
    if (step % every === 0) writeCheckpoint(folder, step, loss);
    if (step < total) {
      setTimeout(advance, step_milliseconds);
      return;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, model_milliseconds);
    for (const { prompt } of samples) say({ type: 'sample', step, prompt, ids: [...Buffer.from('é!')], ended: true });
    mkdirSync(join(folder, 'model'), { recursive: true });
    writeFileSync(join(folder, 'model/loss'), String(loss));
    say({
      type: 'done',
      result: {
        model: join(folder, 'model'),
        adapter: null,
        step,
        loss,
        best_step: null,
        best_loss: null,
        tokens: step * 64,
        supervised_tokens: step * 64,
        seconds: step,
        peak_memory_bytes: 1,
        checkpoint: null,
      },
    });
  };
  advance();
}

setInterval(() => say({ type: 'heartbeat' }), 100).unref();
sayHello();
listen(
  // Its parent wrote the file for this program.
  (job) => train(job as unknown as Job),
  (word) => {
    wish = word;
  },
);
