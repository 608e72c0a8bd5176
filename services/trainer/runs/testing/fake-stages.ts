/** Stages around the fake kernel: nothing but a tokenizer of bytes is prepared, and a version is a line in a file of the data folder. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tinyText } from '../../data/testing/tiny-text.ts';
import { writeTokenizerFolder } from '../../prepare/tokenizer-folder.ts';
import type { Stages } from '../stages.ts';

export function fakeStages(dataFolder: string, config: Record<string, unknown> = {}): Stages {
  const published = join(dataFolder, 'published');
  const program = fileURLToPath(new URL('./fake-kernel.ts', import.meta.url));
  return {
    kernel: async () => {
      const command = { command: [process.execPath, program] as const, environment: process.env };
      return { training: command, single: command };
    },
    prepare: async (run, _kernel, { onProgress }) => {
      await writeTokenizerFolder(run.folder.tokenizer, tinyText(), null, []);
      onProgress('encoding', 1);
      return {
        model: { kind: 'scratch', config },
        tokenizer: run.folder.tokenizer,
        data: { train: '/train', validation: null, verify: [] },
        samples: [{ prompt: [...Buffer.from('caf')], max_new_tokens: 3 }],
        stop_ids: [],
        context_length: 8,
        sequence_length: 8,
        lineage: { data: [{ name: 'plays.txt', bytes: 1, sha256: 'a'.repeat(64) }] },
      };
    },
    publish: async (run) => {
      const { id } = run.record;
      const lines = existsSync(published) ? readFileSync(published, 'utf8') : '';
      if (!lines.includes(id)) appendFileSync(published, `${id}\n`);
      await run.update(() => ({ published: [`${run.record.name}@v001`] }));
    },
  };
}
