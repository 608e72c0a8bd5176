/**
 * A Python with what the kernel scores answers with, and no torch: the versions of its lock file, installed once. Tells too what these
 * libraries say themselves, without the kernel between.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { kernelCommand } from '@slipway/trainer/kernel-command';
import { z } from 'zod';
import { pythonEnvironment } from '../../deployment/testing/python-environment.ts';

const LOCK = resolve(import.meta.dirname, '../../../services/trainer/kernel/requirements.lock');
const lock = readFileSync(LOCK, 'utf8');
const packages = ['sacrebleu', 'rouge-score'].map((name) => {
  const [pinned] = new RegExp(`^${name}==[0-9.]+`, 'm').exec(lock) ?? [];
  if (pinned === undefined) throw new Error(`requirements.lock does not pin ${name}`);
  return pinned;
});
const { folder, missing } = await pythonEnvironment('metrics-kernel', packages);

/** Empty, or why tests that score answers are skipped. */
export const pythonMissing = missing;
const PYTHON = join(folder, 'bin', 'python');
export const SCORING = kernelCommand(PYTHON);

const SCRIPT = `
import json, sys
import sacrebleu
from rouge_score import rouge_scorer
predictions, references = json.loads(sys.argv[1])
scorer = rouge_scorer.RougeScorer(["rougeL"])
rouge = [scorer.score(wanted, got)["rougeL"].fmeasure for got, wanted in zip(predictions, references)]
print(json.dumps({"bleu": sacrebleu.corpus_bleu(predictions, [references]).score, "rouge_l": sum(rouge) / len(rouge)}))
`;

export async function libraryFigures(predictions: readonly string[], references: readonly string[]) {
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', SCRIPT, JSON.stringify([predictions, references])]);
  return z.object({ bleu: z.number(), rouge_l: z.number() }).parse(JSON.parse(stdout));
}
