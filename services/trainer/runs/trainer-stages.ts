/**
 * The stages of a run as they are: a kernel's environment, preparing, publishing. The only place that puts them together.
 */
import { setUpKernel } from '../environment/set-up-kernel.ts';
import type { ServeVersion } from '../evaluation/serve-version.ts';
import { countProcesses, kernelCommand, meetingPoint } from '../supervisor/kernel-command.ts';
import { prepareRun } from './prepare-run.ts';
import { publishRun } from './publish-run.ts';
import { sampleRun } from './sample-run.ts';
import type { Stages } from './stages.ts';

/** `serve`: how versions are asked once they are published; without it they are not. */
export function trainerStages(dataFolder: string, serve?: ServeVersion): Stages {
  return {
    kernel: async (run, { signal, onProgress }) => {
      const { python } = await setUpKernel({
        environment: process.env,
        checks: false,
        cpu: false,
        onPhase: (phase) => onProgress(`setting up Python: ${phase}`, 0),
        onLine: (line) => onProgress('setting up Python', 0, line),
        signal,
      });
      const { processes, device, nodes } = run.record.recipe.training;
      const leading = nodes === 1 ? undefined : { ...meetingPoint(process.env), count: nodes, rank: 0 };
      const training = kernelCommand(python, await countProcesses(processes, device), leading);
      return { training, single: kernelCommand(python) };
    },
    prepare: (run, { single }, tools) => prepareRun(run, dataFolder, single, tools),
    publish: async (run, prepared, { single }, tools) => {
      await publishRun(run, prepared, single, tools);
      if (serve !== undefined) await sampleRun(run, prepared, serve, tools);
    },
  };
}
