/**
 * Beside the conversation: how to sample, what the model is told first, how it is asked, and the service's key.
 */
import type { RefObject } from 'react';
import { DEFAULT_SAMPLING, type Sampling } from '../api/sampling.ts';
import { choose, setApiKey } from '../conversation/chosen.ts';
import type { Preferences } from '../conversation/preferences.ts';
import type { Lane } from './lane.ts';
import { NumberSetting } from './number-setting.tsx';
import { StopSetting } from './stop-setting.tsx';
import './settings-panel.css';

interface Props {
  readonly preferences: Preferences;
  readonly apiKey: string;
  readonly lanes: readonly Lane[];
  readonly keyField: RefObject<HTMLInputElement | null>;
}

const MODES = [
  { mode: 'auto', label: 'Automatic' },
  { mode: 'chat', label: 'Chat' },
  { mode: 'completion', label: 'Completion' },
] as const;

export function SettingsPanel({ preferences, apiKey, lanes, keyField }: Props) {
  const { sampling, systemPrompt, mode } = preferences;
  const set = (change: Partial<Sampling>) => choose({ sampling: { ...sampling, ...change } });
  const isDefault = JSON.stringify(sampling) === JSON.stringify(DEFAULT_SAMPLING);
  const chats = lanes.some((lane) => lane.mode === 'chat');
  return (
    <aside className="settings" id="settings" aria-label="Settings">
      <section>
        <h2>
          Sampling
          <button
            type="button"
            className="plain"
            disabled={isDefault}
            onClick={() => choose({ sampling: DEFAULT_SAMPLING })}
          >
            Reset
          </button>
        </h2>
        <NumberSetting
          label="Temperature"
          hint="0 takes the most probable token"
          min={0}
          max={2}
          step={0.05}
          value={sampling.temperature}
          onChange={(temperature) => set({ temperature })}
        />
        <NumberSetting
          label="Top p"
          hint="what makes up this share; 1 is off"
          min={0.01}
          max={1}
          step={0.01}
          value={sampling.topP}
          onChange={(topP) => set({ topP })}
        />
        <NumberSetting
          label="Top k"
          hint="only the most probable; 0 is off"
          min={0}
          max={200}
          most={1_000_000}
          step={1}
          value={sampling.topK}
          onChange={(topK) => set({ topK })}
        />
        <NumberSetting
          label="Min p"
          hint="at least this share of the best one's"
          min={0}
          max={1}
          step={0.01}
          value={sampling.minP}
          onChange={(minP) => set({ minP })}
        />
        <NumberSetting
          label="Repetition penalty"
          hint="above 1 says less again; 1 is off"
          min={0.1}
          max={2}
          most={10}
          step={0.05}
          value={sampling.repetitionPenalty}
          onChange={(repetitionPenalty) => set({ repetitionPenalty })}
        />
        <NumberSetting
          label="Max tokens"
          hint="where an answer ends at the latest"
          min={1}
          max={512}
          most={1_000_000}
          step={1}
          value={sampling.maxTokens}
          onChange={(maxTokens) => set({ maxTokens })}
        />
        <SeedSetting seed={sampling.seed} onChange={(seed) => set({ seed })} />
        <StopSetting stop={sampling.stop} onChange={(stop) => set({ stop })} />
      </section>
      <section>
        <h2>Asking</h2>
        <label className="setting">
          <span className="setting-name">System prompt</span>
          <textarea
            rows={3}
            value={systemPrompt}
            disabled={!chats}
            onChange={(event) => choose({ systemPrompt: event.target.value })}
          />
          <span className="setting-hint">
            {chats ? 'what the model is told before the conversation' : 'only in a chat'}
          </span>
        </label>
        <label className="setting">
          <span className="setting-name">Mode</span>
          <select
            value={mode}
            onChange={(event) => choose({ mode: MODES.find((one) => one.mode === event.target.value)?.mode ?? 'auto' })}
          >
            {MODES.map((one) => (
              <option key={one.mode} value={one.mode}>
                {one.label}
              </option>
            ))}
          </select>
          <span className="setting-hint">
            automatic: a chat where the model has a template for it, else a text that it goes on with
          </span>
        </label>
      </section>
      <section>
        <h2>Service</h2>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            setApiKey(keyField.current?.value.trim() ?? '');
          }}
        >
          <label className="setting">
            <span className="setting-name">API key</span>
            <input
              ref={keyField}
              type="password"
              autoComplete="off"
              defaultValue={apiKey}
              placeholder="if the service asks for one"
              onBlur={(event) => {
                if (event.target.value.trim() !== apiKey) setApiKey(event.target.value.trim());
              }}
            />
            <span className="setting-hint">kept until this tab is closed</span>
          </label>
        </form>
      </section>
    </aside>
  );
}

function SeedSetting({
  seed,
  onChange,
}: {
  readonly seed: number | null;
  readonly onChange: (seed: number | null) => void;
}) {
  return (
    <label className="setting">
      <span className="setting-name">Seed</span>
      <input
        inputMode="numeric"
        value={seed ?? ''}
        placeholder="drawn for each answer"
        onChange={(event) => {
          const digits = event.target.value.replaceAll(/\D/g, '');
          const number = Number(digits);
          if (Number.isSafeInteger(number)) onChange(digits === '' ? null : number);
        }}
      />
      <span className="setting-hint">the same seed gives the same answer</span>
    </label>
  );
}
