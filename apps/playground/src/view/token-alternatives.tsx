/**
 * Beside a token: how probable it was, and what else could have stood there, as bars.
 */
import { useLayoutEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import type { Alternative, Token } from '../api/token.ts';
import './token-alternatives.css';

interface Props {
  readonly id: string;
  readonly token: Token;
  readonly beside: HTMLElement;
}

/** Pixels between the token and what is said of it, and to the window's edge. */
const GAP = 6;
const MARGIN = 8;

export function TokenAlternatives({ id, token, beside }: Props) {
  const box = useRef<HTMLSpanElement>(null);
  const [place, setPlace] = useState({ left: 0, top: 0 });

  useLayoutEffect(() => {
    const { width, height } = box.current?.getBoundingClientRect() ?? { width: 0, height: 0 };
    // The line a pointer is most likely on: a token may be broken over two.
    const line = beside.getClientRects()[0] ?? beside.getBoundingClientRect();
    const below = line.bottom + GAP;
    setPlace({
      left: Math.max(MARGIN, Math.min(line.left, innerWidth - width - MARGIN)),
      top: below + height + MARGIN < innerHeight ? below : line.top - GAP - height,
    });
  }, [beside]);

  const rows = rowsOf(token);
  const rest = 1 - rows.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
  // Not inside of the text, which would then be read and copied with it.
  return createPortal(
    <span className="alternatives" role="tooltip" id={id} ref={box} style={place}>
      {rows.map((row) => (
        <span className="alternative" key={row.text} data-chosen={row.text === token.text}>
          <code>{visible(row.text)}</code>
          <Bar share={Math.exp(row.logprob)} />
        </span>
      ))}
      {rest > 0.0005 && (
        <span className="alternative" data-rest>
          <span>all others</span>
          <Bar share={rest} />
        </span>
      )}
    </span>,
    document.body,
  );
}

function Bar({ share }: { readonly share: number }) {
  return (
    <>
      <span className="alternative-track" aria-hidden="true">
        <span style={{ width: `${Math.min(100, share * 100)}%` }} />
      </span>
      <span className="alternative-share">{percent(share)}</span>
    </>
  );
}

/** The chosen token among the most probable, where sampling has taken a less probable one. */
function rowsOf({ text, logprob, top }: Token): Alternative[] {
  const chosen = top.some((one) => one.text === text) ? [] : [{ text, logprob }];
  return [...top, ...chosen].toSorted((one, other) => other.logprob - one.logprob);
}

function percent(share: number): string {
  const percents = share * 100;
  if (percents < 0.01) return '< 0.01%';
  if (percents < 1) return `${percents.toFixed(2)}%`;
  return `${percents.toFixed(1)}%`;
}

/** Spaces and line breaks as signs. */
function visible(text: string): string {
  return text.replaceAll(' ', '␣').replaceAll('\n', '↵').replaceAll('\t', '⇥') || '∅';
}
