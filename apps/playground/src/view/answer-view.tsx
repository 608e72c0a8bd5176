/**
 * One answer: its text, as it comes, what went wrong, how quick it was, and what can be done with it.
 */
import { useState } from 'react';
import { type Answer, isRunning } from '../conversation/conversation.ts';
import { copyText } from './copy-text.ts';
import { Icon } from './icons.tsx';
import { Notice } from './notice.tsx';
import { TokenText } from './token-text.tsx';
import './answer-view.css';

interface Props {
  readonly answer: Answer;
  readonly prompt: string;
  readonly showProbabilities: boolean;
  /** null: not this one, because others stand on it. */
  readonly onAgain: (() => void) | null;
  readonly onAskForKey: () => void;
}

export function AnswerView({ answer, prompt, showProbabilities, onAgain, onAskForKey }: Props) {
  const running = isRunning(answer);
  return (
    <section className="answer" data-state={answer.state} aria-busy={running} aria-label={`Answer of ${answer.model}`}>
      <div className="answer-text">
        {answer.mode === 'completion' && <span className="answer-beginning">{prompt}</span>}
        {showProbabilities && answer.tokens.length > 0 ? (
          <TokenText text={answer.text} tokens={answer.tokens} />
        ) : (
          answer.text
        )}
        {running && <span className="caret" aria-hidden="true" />}
      </div>
      {answer.problem !== null && (
        <Notice problem={answer.problem} retry="Try again" onRetry={onAgain} onAskForKey={onAskForKey} />
      )}
      <footer className="answer-foot">
        <span className="answer-facts">
          <b>{answer.model}</b>
          {factsOf(answer).map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </span>
        {!running && (answer.text !== '' || answer.problem === null) && (
          <span className="answer-actions">
            <CopyButton text={answer.mode === 'completion' ? prompt + answer.text : answer.text} />
            {onAgain !== null && answer.problem === null && (
              <button type="button" className="tool" title="Regenerate" onClick={onAgain}>
                <Icon name="again" />
                <span>Regenerate</span>
              </button>
            )}
          </span>
        )}
      </footer>
    </section>
  );
}

function factsOf(answer: Answer): string[] {
  const { completionTokens, tokensPerSecond, firstTokenMs, finishReason, state } = answer;
  const facts = completionTokens === 0 ? [] : [`${completionTokens} ${completionTokens === 1 ? 'token' : 'tokens'}`];
  if (tokensPerSecond !== null)
    facts.push(`${tokensPerSecond < 10 ? tokensPerSecond.toFixed(1) : Math.round(tokensPerSecond)} tokens/s`);
  if (firstTokenMs !== null) facts.push(`first after ${durationOf(firstTokenMs)}`);
  if (state === 'stopped') facts.push('stopped');
  else if (finishReason === 'length') facts.push('cut at its length');
  return facts;
}

function durationOf(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function CopyButton({ text }: { readonly text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    setCopied(await copyText(text));
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" className="tool" title="Copy" disabled={text === ''} onClick={copy}>
      <Icon name={copied ? 'check' : 'copy'} />
      <span aria-live="polite">{copied ? 'Copied' : 'Copy'}</span>
    </button>
  );
}
