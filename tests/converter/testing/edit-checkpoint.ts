/** Copies of golden checkpoints with one thing wrong. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type GoldenName, readGolden } from '../../../services/converter/testing/golden.ts';

/** Gives the path of a copy of a golden folder. Removed when the test ends. */
export async function copyGolden(name: GoldenName): Promise<string> {
  const { source } = await readGolden(name);
  const folder = await mkdtemp(path.join(tmpdir(), 'slipway-checkpoint-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(source, folder, { recursive: true });
  return folder;
}

export async function editConfig(folder: string, changes: object): Promise<void> {
  const file = path.join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...changes }));
}

/** Overwrites the bytes of a tensor's element `index` in model.safetensors. */
export async function editTensor(folder: string, name: string, index: number, element: Uint8Array): Promise<void> {
  const file = path.join(folder, 'model.safetensors');
  const bytes = await readFile(file);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength));
  bytes.set(element, 8 + headerLength + header[name].data_offsets[0] + index * element.length);
  await writeFile(file, bytes);
}
