/**
 * `slipway data inspect`: a picture of training data for people, or the same as JSON.
 */
import { type Inspection, inspectData } from '@slipway/trainer/data';
import { interruptible } from '../interruptible.ts';
import { createProgressBar } from '../progress-bar.ts';
import { type DataFlags, dataRecipe, downloadFolder } from './data-flags.ts';
import { drawInspection } from './draw-inspection.ts';
import { modelText } from './model-text.ts';

interface InspectFlags extends DataFlags {
  readonly rejected?: string;
  readonly show: number;
}

export async function inspect(files: readonly string[], flags: InspectFlags): Promise<void> {
  const { model } = flags;
  const progress = createProgressBar();
  let inspection: Inspection;
  try {
    const opened = model === undefined ? undefined : await modelText({ ...flags, model });
    inspection = await interruptible('nothing was changed', (signal) =>
      inspectData({
        sources: files,
        data: dataRecipe(flags),
        model: opened,
        cacheFolder: downloadFolder(),
        show: flags.show,
        rejectedFile: flags.rejected,
        signal,
        onBytes: (bytes, totalBytes) => progress.update('reading', bytes / totalBytes, { bytes, totalBytes }),
      }),
    );
  } finally {
    progress.end();
  }
  console.log(flags.json ? JSON.stringify(inspection, null, 2) : drawInspection(inspection, model ?? null));
  // What a training would refuse; it has been told with what to do.
  if (inspection.problems.length > 0) process.exitCode = 2;
}
