/**
 * How fast text becomes token ids, here and by Hugging Face's tokenizers in Python, in one thread each. Processor time, which neighbours
 * on the machine disturb less than the clock.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '../../shared/text/tokenizer.ts';
import { median, round3 } from '../rounds.ts';

/** With the package tokenizers; SLIPWAY_TEST_PYTHON may name another. */
const PYTHON = process.env.SLIPWAY_TEST_PYTHON || 'python3';

const SCRIPT = `
import sys, time
from tokenizers import Tokenizer
tokenizer, text = Tokenizer.from_file(sys.argv[1]), open(sys.argv[2], encoding="utf-8", newline="").read()
tokenizer.encode_special_tokens = True
start = time.process_time()
ids = tokenizer.encode(text, add_special_tokens=False).ids
print(time.process_time() - start, len(ids))
`;

export interface TokenizerSpeed {
  readonly tokenizer: string;
  readonly tokens: number;
  /** Megabytes of text per second: the first time, with nothing known, and the best. */
  readonly first: number;
  readonly best: number;
  /** Median of the rounds, each a process of its own; null without that Python. */
  readonly hugging_face: number | null;
}

export function measureTokenizer(folder: string, textFile: string, rounds: number): TokenizerSpeed {
  const text = readFileSync(textFile, 'utf8');
  const megabytes = Buffer.byteLength(text) / 1e6;
  const file = join(folder, 'tokenizer.json');
  const tokenizer = loadTokenizer(JSON.parse(readFileSync(file, 'utf8')), {});
  const ours: number[] = [];
  const theirs: number[] = [];
  let tokens = 0;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    tokens = tokenizer.encode(text, { addBos: false, parseSpecial: false }).length;
    const { user, system } = process.cpuUsage(before);
    ours.push((megabytes * 1e6) / (user + system));
    const { status, stdout } = spawnSync(PYTHON, ['-c', SCRIPT, file, textFile], {
      encoding: 'utf8',
      env: { ...process.env, TOKENIZERS_PARALLELISM: 'false' },
    });
    if (status !== 0) continue;
    const [seconds = 0, count] = stdout.trim().split(' ').map(Number);
    if (count !== tokens) throw new Error(`${folder}: ${tokens} tokens here, ${count} by tokenizers`);
    theirs.push(megabytes / seconds);
  }
  return {
    tokenizer: folder,
    tokens,
    first: round3(ours[0] ?? 0),
    best: round3(Math.max(...ours)),
    hugging_face: theirs.length === 0 ? null : round3(median(theirs)),
  };
}
