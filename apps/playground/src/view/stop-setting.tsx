/**
 * Texts at which an answer ends: one per line, where \n stands for a line break.
 */
import { useState } from 'react';
import { Setting } from './setting.tsx';

interface Props {
  readonly stop: readonly string[];
  readonly onChange: (stop: string[]) => void;
}

export function StopSetting({ stop, onChange }: Props) {
  // What is being written, empty lines included, is more than what it means; a reset from outside wins.
  const [draft, setDraft] = useState(() => written(stop));
  const text = written(read(draft)) === written(stop) ? draft : written(stop);
  return (
    <Setting name="Stop at" hint="one text per line; \n is a line break">
      {(control) => (
        <textarea
          {...control}
          rows={2}
          value={text}
          onChange={(event) => {
            setDraft(event.target.value);
            onChange(read(event.target.value));
          }}
        />
      )}
    </Setting>
  );
}

function read(draft: string): string[] {
  return draft
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replaceAll('\\n', '\n'));
}

function written(stop: readonly string[]): string {
  return stop.map((one) => one.replaceAll('\n', '\\n')).join('\n');
}
