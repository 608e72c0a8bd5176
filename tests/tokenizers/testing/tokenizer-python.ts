/**
 * A Python with what the kernel needs for tokenizers, and no torch: the versions of its lock file, installed once. Trains by the kernel,
 * and tells what Hugging Face's tokenizers makes of texts.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { pythonEnvironment } from '../../deployment/testing/python-environment.ts';

const run = promisify(execFile);
const KERNEL = resolve(import.meta.dirname, '../../../services/trainer/kernel');
const lock = readFileSync(join(KERNEL, 'requirements.lock'), 'utf8');
const packages = ['tokenizers', 'sentencepiece'].map((name) => {
  const [pinned] = new RegExp(`^${name}==[0-9.]+`, 'm').exec(lock) ?? [];
  if (pinned === undefined) throw new Error(`requirements.lock does not pin ${name}`);
  return pinned;
});
const { folder, missing } = await pythonEnvironment('tokenizer-kernel', packages);

/** Empty, or why tests that train are skipped. */
export const pythonMissing = missing;
const PYTHON = join(folder, 'bin', 'python');
export const KERNEL_COMMAND = [PYTHON, '-m', 'slipway_kernel'] as const;
export const KERNEL_ENVIRONMENT = { ...process.env, PYTHONPATH: KERNEL, PYTHONDONTWRITEBYTECODE: '1' };

const ids = z.array(z.array(z.number()));
const Answer = z.object({ plain: ids, parsed: ids, decoded: z.array(z.string()) });

const SCRIPT = `
import json, sys
from tokenizers import Tokenizer
folder, source = sys.argv[1:]
texts = json.load(open(source, encoding="utf-8"))
tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
parsed = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
decoded = [tokenizer.decode(ids) for ids in parsed]
tokenizer.encode_special_tokens = True
plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
print(json.dumps({"plain": plain, "parsed": parsed, "decoded": decoded}))
`;

/** Ids with special tokens as text and as tokens, and the texts of the latter. */
export async function askTokenizers(
  tokenizerFolder: string,
  texts: readonly string[],
): Promise<z.infer<typeof Answer>> {
  const source = join(tokenizerFolder, 'texts.json');
  await writeFile(source, JSON.stringify(texts));
  const { stdout } = await run(PYTHON, ['-c', SCRIPT, tokenizerFolder, source], { maxBuffer: 512 << 20 });
  return Answer.parse(JSON.parse(stdout));
}
