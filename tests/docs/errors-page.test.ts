/** docs/errors.md is made of the codes: `npx vitest run tests/docs -u` writes it anew. */
import { ERROR_MEANINGS, ERROR_STATUS, type ErrorCode } from '@slipway/shared/contracts/errors.ts';
import { expect, it } from 'vitest';
import { markdownTable } from './testing/markdown-table.ts';

const INTRODUCTION = `# Errors

Every error has a code that programs can rely on and a message for people, which says what was wrong, where, and what to do. Over HTTP it is
\`{"error": {"code", "message", "request_id"}}\` with the status below (OpenAI's endpoints have the shape OpenAI's clients expect); the request
id finds it in the log. On the command line the message is printed, and the exit code tells the rest. Answers with 429 and 503 carry
\`Retry-After\`. Of a bug nothing is told but its request id.

This page is made of \`shared/contracts/errors.ts\`; a test keeps it so.
`;

function page(): string {
  const codes = (Object.keys(ERROR_STATUS) as ErrorCode[]).toSorted(
    (a, b) => ERROR_STATUS[a] - ERROR_STATUS[b] || a.localeCompare(b),
  );
  const rows = codes.map((code) => {
    const status = ERROR_STATUS[code];
    return [`\`${code}\``, String(status), status < 500 ? '2' : '1', ERROR_MEANINGS[code]];
  });
  return `${INTRODUCTION}\n${markdownTable(['code', 'HTTP', 'exit code', ''], rows)}\n`;
}

it('lists every code with its status, exit code and meaning', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/errors.md');
});
