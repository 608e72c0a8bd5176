/**
 * A number by slider or by typing. The slider covers the usual range, typing all that is allowed.
 */
import { useState } from 'react';
import { Setting } from './setting.tsx';

interface Props {
  readonly name: string;
  readonly hint: string;
  readonly min: number;
  /** The slider's end. */
  readonly max: number;
  /** Of what may be typed; the slider's end when not given. */
  readonly most?: number;
  readonly step: number;
  readonly value: number;
  readonly onChange: (value: number) => void;
}

export function NumberSetting({ name, hint, min, max, most = max, step, value, onChange }: Props) {
  // What is being typed is not a number yet; leaving the field brings back the value that stands.
  const [draft, setDraft] = useState<string | null>(null);
  const type = (text: string) => {
    setDraft(text);
    const number = Number(text);
    const fits = text.trim() !== '' && number >= min && number <= most && (step !== 1 || Number.isInteger(number));
    if (fits) onChange(number);
  };
  const filled = (Math.min(value, max) - min) / (max - min);
  return (
    <Setting name={name} hint={hint}>
      {(control) => (
        <>
          <input
            className="setting-number"
            inputMode="decimal"
            aria-label={`${name}, typed`}
            value={draft ?? value}
            onChange={(event) => type(event.target.value)}
            onBlur={() => setDraft(null)}
          />
          <input
            {...control}
            type="range"
            min={min}
            max={max}
            step={step}
            value={Math.min(value, max)}
            style={{ '--filled': `${filled * 100}%` }}
            onChange={(event) => onChange(Number(event.target.value))}
          />
        </>
      )}
    </Setting>
  );
}
