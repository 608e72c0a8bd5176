/** Reads every tensor of the files it is given and prints one line for each: `read`, or the code of the AppError. For a process of its own. */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { openTorchFile } from '../torch-file.ts';

for (const path of process.argv.slice(2)) {
  try {
    const file = await openTorchFile(path);
    for (const tensor of file.tensors.values()) await tensor.read();
    await file.close();
    process.stdout.write('read\n');
  } catch (error) {
    process.stdout.write(`${error instanceof AppError ? error.code : String(error)}\n`);
  }
}
