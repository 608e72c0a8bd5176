/**
 * `slipway models pull`: a model of the Hugging Face hub, downloaded and converted. Turns options and environment into the two works and
 * their progress into a bar.
 */
import { convert } from '@slipway/converter/convert';
import { type Pulled, type PullProgress, pull } from '@slipway/converter/pull';
import { checkModelName } from '@slipway/shared/bucket/keys.ts';
import type { Precision } from '@slipway/shared/contracts/manifest.ts';
import { describeConversion, summaryOf } from '../convert.ts';
import { humanBytes } from '../human-units.ts';
import { interruptible } from '../interruptible.ts';
import { createProgress } from '../progress-bar.ts';
import { bucketAddress, type CommonOptions } from './bucket-option.ts';

interface PullFlags extends CommonOptions {
  readonly revision: string;
  readonly file?: string;
  readonly folder?: string;
  readonly convert: boolean;
  readonly base?: string;
  readonly name?: string;
  readonly precision: Precision | 'auto';
  readonly parityText?: string;
  readonly allowDrift?: true;
}

export async function pullModel(repository: string, flags: PullFlags): Promise<void> {
  const name = flags.name ?? repository.slice(repository.lastIndexOf('/') + 1);
  // Before gigabytes come, not after.
  if (flags.convert) checkModelName(name);
  const json = flags.json ?? false;
  const progress = createProgress(json);
  const { HF_TOKEN, HF_TOKEN_READ, HF_ENDPOINT } = process.env;
  try {
    await interruptible('what has been downloaded is kept; the same command goes on from there', async (signal) => {
      const pulled = await pull({
        repository,
        revision: flags.revision,
        ...(flags.file === undefined ? {} : { file: flags.file }),
        folder: flags.folder ?? `downloads/${repository}`,
        ...(HF_ENDPOINT ? { endpoint: HF_ENDPOINT } : {}),
        token: HF_TOKEN || HF_TOKEN_READ,
        signal,
        onProgress: (state) => progress.update('downloading', partOf(state), state),
      });
      if (!flags.convert) {
        progress.end();
        console.log(json ? JSON.stringify(pulledSummary(pulled)) : describePulled(pulled));
        return;
      }
      const conversion = await convert({
        source: pulled.source,
        ...(flags.base === undefined ? {} : { base: flags.base }),
        sourceLabel: `${repository}@${pulled.commit.slice(0, 12)}`,
        name,
        precision: flags.precision,
        bucketUrl: bucketAddress(flags),
        allowDrift: flags.allowDrift ?? false,
        ...(flags.parityText === undefined ? {} : { parityText: flags.parityText }),
        onProgress: (phase, part, detail) => {
          signal.throwIfAborted();
          progress.update(phase, part, detail);
        },
      });
      progress.end();
      const summary = { ...summaryOf(conversion), pulled: pulledSummary(pulled) };
      console.log(json ? JSON.stringify(summary) : `${describePulled(pulled)}\n${describeConversion(conversion)}`);
    });
  } finally {
    progress.end();
  }
}

function partOf({ bytes, totalBytes }: PullProgress): number {
  return totalBytes === 0 ? 0 : bytes / totalBytes;
}

function pulledSummary({ repository, commit, source, files, bytes, downloadedBytes }: Pulled) {
  return { repository, commit, source, files, bytes, downloaded_bytes: downloadedBytes };
}

function describePulled({ repository, commit, source, files, bytes, downloadedBytes }: Pulled): string {
  const came = downloadedBytes === 0 ? 'all of it was here already' : `${humanBytes(downloadedBytes)} downloaded`;
  return `${repository} at ${commit.slice(0, 12)}: ${files} files, ${humanBytes(bytes)}, verified; ${came}\n  folder       ${source}`;
}
