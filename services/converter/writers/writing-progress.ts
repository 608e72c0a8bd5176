/**
 * How far the writing of a model's tensors is. Knows no format.
 */

export interface WritingProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  readonly tensors: number;
}

/** Gives what a writer tells the bytes of each tensor that it has written. */
export function countTensors(totalBytes: number, onProgress: (done: WritingProgress) => void): (bytes: number) => void {
  let done = 0;
  let tensors = 0;
  return (bytes) => {
    done += bytes;
    tensors++;
    onProgress({ bytes: done, totalBytes, tensors });
  };
}
