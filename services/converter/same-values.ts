/** Whether two tensors hold the same values, with one of them in memory at a time. */
import { createHash } from 'node:crypto';
import type { SourceTensor } from './checkpoint.ts';

export async function sameValues(a: SourceTensor, b: SourceTensor): Promise<boolean> {
  if (a.shape.join() !== b.shape.join()) return false;
  return (await digest(a)) === (await digest(b));
}

async function digest(tensor: SourceTensor): Promise<string> {
  const values = await tensor.read();
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}
