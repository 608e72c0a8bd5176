/**
 * Texts at which an answer ends: one per line, where \n stands for a line break.
 */
import { useState } from 'react';

interface Props {
  readonly stop: readonly string[];
  readonly onChange: (stop: string[]) => void;
}

export function StopSetting({ stop, onChange }: Props) {
  // What is being written, empty lines included, is more than what it means; a reset from outside wins.
  const [draft, setDraft] = useState(() => written(stop));
  const text = written(read(draft)) === written(stop) ? draft : written(stop);
  return (
    <label className="setting">
      <span className="setting-name">Stop at</span>
      <textarea
        rows={2}
        value={text}
        placeholder="one text per line"
        onChange={(event) => {
          setDraft(event.target.value);
          onChange(read(event.target.value));
        }}
      />
      <span className="setting-hint">\n stands for a line break</span>
    </label>
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
