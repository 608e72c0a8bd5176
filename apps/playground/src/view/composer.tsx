/**
 * Where the reader writes. Enter sends, Shift+Enter begins a new line, Escape stops what runs.
 */
import type { KeyboardEvent, RefObject } from 'react';
import { Icon } from './icons.tsx';
import type { Lane } from './lane.ts';
import './composer.css';

interface Props {
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly lanes: readonly Lane[];
  readonly running: boolean;
  readonly showProbabilities: boolean;
  readonly onSend: (prompt: string) => void;
  readonly onStop: () => void;
}

export function Composer({ field, lanes, running, showProbabilities, onSend, onStop }: Props) {
  const [first] = lanes;
  const label = first?.mode === 'completion' ? 'Beginning of a text' : 'Message';
  const send = () => {
    const text = field.current?.value ?? '';
    if (running || first === undefined || text.trim() === '') return;
    onSend(text);
    if (field.current !== null) field.current.value = '';
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // In the middle of a character of Japanese or Chinese, Enter ends the character.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      className="composer"
      aria-label="Write"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="composer-box">
        {/* biome-ignore lint/a11y/noAutofocus: the page is there to be written to. */}
        <textarea ref={field} rows={1} autoFocus aria-label={label} placeholder={label} onKeyDown={onKeyDown} />
        {running ? (
          <button type="button" className="composer-button" onClick={onStop}>
            <Icon name="stop" />
            <span>Stop</span>
          </button>
        ) : (
          <button type="submit" className="composer-button" disabled={first === undefined}>
            <Icon name="send" />
            <span>Send</span>
          </button>
        )}
      </div>
      <p className="composer-hint">
        <span>
          <kbd>Enter</kbd> sends, <kbd>Shift Enter</kbd> new line, <kbd>Esc</kbd> stops
        </span>
        {showProbabilities && (
          <span className="scale">
            probable <span className="scale-colours" aria-hidden="true" /> surprising
          </span>
        )}
      </p>
      <p className="unseen" role="status">
        {running ? 'An answer is being written.' : ''}
      </p>
    </form>
  );
}
