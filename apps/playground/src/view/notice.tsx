/**
 * Says what went wrong and what the reader can do about it.
 */
import type { Problem } from '../api/service-error.ts';
import './notice.css';

interface Props {
  readonly problem: Problem;
  /** What the button says. */
  readonly retry: string;
  readonly onRetry: (() => void) | null;
  readonly onAskForKey: () => void;
}

const HEADINGS: Readonly<Record<Problem['kind'], string>> = {
  unreachable: 'The service cannot be reached.',
  unauthorized: 'The service asks for an API key.',
  busy: 'The service cannot take this right now.',
  refused: 'The service did not accept this.',
  failed: 'Something went wrong in the service.',
};

export function Notice({ problem, retry, onRetry, onAskForKey }: Props) {
  const { kind } = problem;
  return (
    <div className="notice" role="alert" data-kind={kind}>
      <p className="notice-heading">{HEADINGS[kind]}</p>
      <p>{adviceOf(problem)}</p>
      <p className="notice-actions">
        {kind === 'unauthorized' && (
          <button type="button" className="plain" onClick={onAskForKey}>
            Enter the key
          </button>
        )}
        {onRetry !== null && (
          <button type="button" className="plain" onClick={onRetry}>
            {retry}
          </button>
        )}
      </p>
    </div>
  );
}

export function adviceOf({ kind, message, retryAfter }: Problem): string {
  const said = message === '' ? '' : `It says: ${message}${/[.!?]$/.test(message) ? '' : '.'}`;
  if (kind === 'unreachable') return `${said} It may be stopped, or starting again. What you wrote is kept.`.trim();
  if (kind === 'busy' && retryAfter !== null)
    return `${said} It asks for ${retryAfter} ${retryAfter === 1 ? 'second' : 'seconds'}.`.trim();
  return said;
}
