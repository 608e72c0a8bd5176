/**
 * An answer as its tokens, each coloured by how improbable it was. Pointing at one, or moving to it with the arrow keys, shows what else
 * it could have been.
 */
import {
  type FocusEvent,
  type KeyboardEvent,
  memo,
  type PointerEvent,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react';
import type { Token } from '../api/token.ts';
import { visibleTokens } from '../conversation/visible-tokens.ts';
import { TokenAlternatives } from './token-alternatives.tsx';
import './token-text.css';

/** Nats at which the colour is full: one in four hundred. */
const FULL_SURPRISE = 6;

export function TokenText({ text, tokens }: { readonly text: string; readonly tokens: readonly Token[] }) {
  const [shown, setShown] = useState<HTMLElement | null>(null);
  const [cursor, setCursor] = useState(0);
  const area = useRef<HTMLSpanElement>(null);
  const tooltip = useId();
  const visible = visibleTokens(text, tokens);

  useEffect(() => {
    // What is said of a token would stay where the token was.
    const hide = () => setShown(null);
    addEventListener('scroll', hide, { capture: true });
    return () => removeEventListener('scroll', hide, { capture: true });
  }, []);

  const pointAt = (event: PointerEvent | FocusEvent) => setShown(tokenElement(event.target));
  const move = (event: KeyboardEvent) => {
    const next = destination(event.key, cursor, visible.length);
    if (next === undefined) return;
    event.preventDefault();
    setCursor(next);
    const element = area.current?.querySelector(`[data-token="${next}"]`);
    if (element instanceof HTMLElement) element.focus();
  };
  const about = visible[Number(shown?.dataset.token)];

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot stand inside a line of text.
    <span
      className="tokens"
      role="group"
      aria-label="Tokens, with their probabilities. The arrow keys move from one to the next."
      ref={area}
      onPointerOver={pointAt}
      onPointerLeave={() => setShown(null)}
      onFocus={(event) => {
        setCursor(Number(tokenElement(event.target)?.dataset.token ?? cursor));
        pointAt(event);
      }}
      onBlur={() => setShown(null)}
      onKeyDown={move}
    >
      {visible.map(({ token, text: own }, index) => (
        <TokenSpan
          key={index}
          index={index}
          text={own}
          logprob={token.logprob}
          inTabOrder={index === Math.min(cursor, visible.length - 1)}
          describedBy={about !== undefined && shown?.dataset.token === String(index) ? tooltip : undefined}
        />
      ))}
      {shown !== null && about !== undefined && <TokenAlternatives id={tooltip} token={about.token} beside={shown} />}
    </span>
  );
}

interface SpanProps {
  readonly index: number;
  readonly text: string;
  readonly logprob: number;
  readonly inTabOrder: boolean;
  readonly describedBy: string | undefined;
}

const TokenSpan = memo(function TokenSpan({ index, text, logprob, inTabOrder, describedBy }: SpanProps) {
  const surprise = Math.min(1, Math.max(0, -logprob / FULL_SURPRISE));
  return (
    <span
      className="token"
      data-token={index}
      tabIndex={inTabOrder ? 0 : -1}
      aria-describedby={describedBy}
      style={{ '--surprise': surprise.toFixed(3) }}
    >
      {text}
    </span>
  );
});

function tokenElement(target: EventTarget): HTMLElement | null {
  const found = target instanceof Element ? target.closest('[data-token]') : null;
  return found instanceof HTMLElement ? found : null;
}

function destination(key: string, from: number, count: number): number | undefined {
  if (key === 'ArrowRight' || key === 'ArrowDown') return Math.min(count - 1, from + 1);
  if (key === 'ArrowLeft' || key === 'ArrowUp') return Math.max(0, from - 1);
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : undefined;
}
