/**
 * How the next token is chosen, one setting each.
 */
import { DEFAULT_SAMPLING, type Sampling } from '../api/sampling.ts';
import { NumberSetting } from './number-setting.tsx';
import { Setting } from './setting.tsx';
import { StopSetting } from './stop-setting.tsx';

interface Props {
  readonly sampling: Sampling;
  readonly onChange: (sampling: Sampling) => void;
}

type NumberName = 'temperature' | 'topP' | 'topK' | 'minP' | 'repetitionPenalty' | 'maxTokens';

interface NumberRange {
  readonly field: NumberName;
  readonly name: string;
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly most?: number;
  readonly step: number;
}

const UNBOUNDED = 1_000_000;
const NUMBERS: readonly NumberRange[] = [
  { field: 'temperature', name: 'Temperature', hint: '0 takes the most probable token', min: 0, max: 2, step: 0.05 },
  { field: 'topP', name: 'Top p', hint: 'the best that make up this share; 1 is off', min: 0.01, max: 1, step: 0.01 },
  { field: 'topK', name: 'Top k', hint: 'this many of the best; 0 is off', min: 0, max: 200, most: UNBOUNDED, step: 1 },
  { field: 'minP', name: 'Min p', hint: 'at least this share of the best; 0 is off', min: 0, max: 1, step: 0.01 },
  {
    field: 'repetitionPenalty',
    name: 'Repetition penalty',
    hint: 'above 1 repeats less; 1 is off',
    min: 0.1,
    max: 2,
    most: 10,
    step: 0.05,
  },
  {
    field: 'maxTokens',
    name: 'Max tokens',
    hint: 'where an answer ends at the latest',
    min: 1,
    max: 512,
    most: UNBOUNDED,
    step: 1,
  },
];

export function SamplingSettings({ sampling, onChange }: Props) {
  const isDefault = JSON.stringify(sampling) === JSON.stringify(DEFAULT_SAMPLING);
  return (
    <section>
      <h2>
        Sampling
        <button type="button" className="plain" disabled={isDefault} onClick={() => onChange(DEFAULT_SAMPLING)}>
          Reset
        </button>
      </h2>
      {NUMBERS.map(({ field, ...range }) => (
        <NumberSetting
          key={field}
          {...range}
          value={sampling[field]}
          onChange={(value) => onChange({ ...sampling, [field]: value })}
        />
      ))}
      <SeedSetting seed={sampling.seed} onChange={(seed) => onChange({ ...sampling, seed })} />
      <StopSetting stop={sampling.stop} onChange={(stop) => onChange({ ...sampling, stop })} />
    </section>
  );
}

interface SeedProps {
  readonly seed: number | null;
  readonly onChange: (seed: number | null) => void;
}

function SeedSetting({ seed, onChange }: SeedProps) {
  const type = (text: string) => {
    const digits = text.replaceAll(/\D/g, '');
    const number = Number(digits);
    if (Number.isSafeInteger(number)) onChange(digits === '' ? null : number);
  };
  return (
    <Setting name="Seed" hint="the same seed gives the same answer">
      {(control) => (
        <input
          {...control}
          inputMode="numeric"
          value={seed ?? ''}
          placeholder="drawn for each answer"
          onChange={(event) => type(event.target.value)}
        />
      )}
    </Setting>
  );
}
