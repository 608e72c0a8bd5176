/**
 * Looks at all lines of a batch before the first is answered, so that a wrong file is told at once, with the numbers of its lines. Knows nothing
 * of what the endpoints will say to them.
 */
import type { BatchError } from '@slipway/shared/contracts/openai/batch.ts';
import { type BatchEndpoint, parseBatchRequest, parseJsonLine } from '@slipway/shared/contracts/openai/batch-line.ts';
import type { Line } from '@slipway/shared/lines/read-lines.ts';
import { scanLines } from '@slipway/shared/lines/scan-lines.ts';

export interface InputFindings {
  readonly lines: number;
  readonly errors: readonly BatchError[];
}

const MOST_LINES = 1_000_000;
const MOST_ERRORS = 100;

/** Rejects with the signal's reason. */
export async function validateInput(
  file: string,
  endpoint: BatchEndpoint,
  mostLineBytes: number,
  signal: AbortSignal,
): Promise<InputFindings> {
  const errors: BatchError[] = [];
  const tell = (error: BatchError) => {
    if (errors.length < MOST_ERRORS) errors.push(error);
  };
  const { lines, repeated } = await scanLines(file, mostLineBytes, (line) => {
    signal.throwIfAborted();
    const looked = lookAt(line, endpoint);
    if ('customId' in looked) return looked.customId;
    tell(looked);
    return undefined;
  });
  for (const line of repeated.values()) {
    tell({ code: 'duplicate_custom_id', message: 'an earlier line has this custom_id', param: 'custom_id', line });
  }
  if (lines === 0) errors.push({ code: 'empty_file', message: 'the file has no lines', param: null, line: null });
  if (lines > MOST_LINES) {
    const message = `the file has ${lines} lines, and may have ${MOST_LINES}; make several batches of it`;
    errors.push({ code: 'too_many_tasks', message, param: null, line: null });
  }
  return { lines, errors: errors.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
}

function lookAt({ number, content }: Line, endpoint: BatchEndpoint): { readonly customId: string } | BatchError {
  if ('problem' in content) {
    return { code: 'invalid_line', message: `this line ${content.problem}`, param: null, line: number };
  }
  const json = parseJsonLine(content.text);
  if ('problem' in json) return { ...json.problem, line: number };
  const parsed = parseBatchRequest(json.value, endpoint);
  return 'problem' in parsed ? { ...parsed.problem, line: number } : { customId: parsed.request.custom_id };
}
