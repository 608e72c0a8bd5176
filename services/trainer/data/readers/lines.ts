/**
 * A stream of bytes as lines, without their ends (LF or CRLF). A line longer than the limit is told, not kept: memory is bounded by the
 * limit, whatever comes.
 */

export interface Line {
  /** 1-based. */
  readonly number: number;
  /** Undefined when it is longer than the limit. */
  readonly bytes: Buffer | undefined;
}

const LF = 10;
const CR = 13;

export async function* readLines(chunks: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Line[]> {
  let number = 1;
  let kept: Buffer[] = [];
  let length = 0;
  let hasRest = false;

  const take = (part: Buffer): void => {
    hasRest = true;
    length += part.length;
    if (length <= limit) kept.push(part);
    else kept = [];
  };
  const finish = (): Line => {
    const whole = length > limit ? undefined : kept.length === 1 ? kept[0] : Buffer.concat(kept);
    const bytes = whole?.at(-1) === CR ? whole.subarray(0, -1) : whole;
    kept = [];
    length = 0;
    hasRest = false;
    return { number: number++, bytes };
  };

  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      take(chunk.subarray(start, end));
      lines.push(finish());
      start = end + 1;
    }
    if (start < chunk.length) take(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (hasRest) yield [finish()];
}
