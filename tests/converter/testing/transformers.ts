/**
 * transformers itself, where a Python with it is found: `SLIPWAY_TEST_PYTHON`, or `python3`. Loads folders and tells their logits.
 */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const PYTHON = process.env.SLIPWAY_TEST_PYTHON || 'python3';

/** Empty, or why tests with transformers are skipped. find_spec: importing torch takes seconds. */
export const transformersMissing =
  spawnSync(PYTHON, [
    '-c',
    'import sys, importlib.util as u; sys.exit(not (u.find_spec("torch") and u.find_spec("transformers")))',
  ]).status === 0
    ? ''
    : ' (skipped: no Python with torch and transformers; SLIPWAY_TEST_PYTHON may name one)';

export interface FolderJob {
  readonly folder: string;
  readonly tokens: readonly number[];
  readonly text: string;
}

export interface TransformersAnswer {
  /** Tensors that are missing, unexpected or of another shape. */
  readonly problems: readonly string[];
  /** [tokens, vocabulary] */
  readonly logits: readonly number[][];
  readonly encoded: readonly number[];
  readonly template: string | null;
  readonly eos: readonly number[];
}

const SCRIPT = `
import json, sys, torch, transformers
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
from transformers import AutoModelForCausalLM, AutoTokenizer
told = []
for job in json.loads(sys.argv[1]):
    folder = job["folder"]
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = model(torch.tensor([job["tokens"]])).logits[0]
    eos = model.generation_config.eos_token_id
    told.append({
        "problems": [str(item) for kind in info.values() for item in kind],
        "logits": logits.tolist(),
        "encoded": tokenizer(job["text"], add_special_tokens=False).input_ids,
        "template": tokenizer.chat_template,
        "eos": eos if isinstance(eos, list) else [eos],
    })
print(json.dumps(told))
`;

export async function askTransformers(jobs: readonly FolderJob[]): Promise<TransformersAnswer[]> {
  const { stdout } = await run(PYTHON, ['-c', SCRIPT, JSON.stringify(jobs)], {
    maxBuffer: 256 << 20,
    env: { ...process.env, HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: '1' },
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
