/**
 * Beside the conversation: how to sample, what the model is told first, how it is asked, and the service's key.
 */
import type { RefObject } from 'react';
import { choose, setApiKey } from '../conversation/chosen.ts';
import type { Preferences } from '../conversation/preferences.ts';
import type { Lane } from './lane.ts';
import { SamplingSettings } from './sampling-settings.tsx';
import { Setting } from './setting.tsx';
import './settings-panel.css';

interface Props {
  readonly preferences: Preferences;
  readonly apiKey: string;
  readonly lanes: readonly Lane[];
  readonly keyField: RefObject<HTMLInputElement | null>;
}

export function SettingsPanel({ preferences, apiKey, lanes, keyField }: Props) {
  return (
    <aside className="settings" id="settings" aria-label="Settings">
      <AskingSettings preferences={preferences} chats={lanes.some(({ mode }) => mode === 'chat')} />
      <SamplingSettings sampling={preferences.sampling} onChange={(sampling) => choose({ sampling })} />
      <KeySetting apiKey={apiKey} field={keyField} />
    </aside>
  );
}

const MODES = [
  { mode: 'auto', name: 'As the model is made for' },
  { mode: 'chat', name: 'Chat' },
  { mode: 'completion', name: 'Continue a text' },
] as const;

function AskingSettings({ preferences, chats }: { readonly preferences: Preferences; readonly chats: boolean }) {
  const { systemPrompt, mode } = preferences;
  const chooseMode = (value: string) => choose({ mode: MODES.find((one) => one.mode === value)?.mode ?? 'auto' });
  return (
    <section>
      <h2>Asking</h2>
      <Setting name="Mode" hint="whether it has a chat template">
        {(control) => (
          <select {...control} value={mode} onChange={(event) => chooseMode(event.target.value)}>
            {MODES.map((one) => (
              <option key={one.mode} value={one.mode}>
                {one.name}
              </option>
            ))}
          </select>
        )}
      </Setting>
      <Setting name="System prompt" hint={chats ? 'what a chat begins with, unseen' : 'only in a chat'}>
        {(control) => (
          <textarea
            {...control}
            rows={2}
            value={systemPrompt}
            disabled={!chats}
            onChange={(event) => choose({ systemPrompt: event.target.value })}
          />
        )}
      </Setting>
    </section>
  );
}

interface KeyProps {
  readonly apiKey: string;
  readonly field: RefObject<HTMLInputElement | null>;
}

/** Taken when the field is left or Enter is pressed, not letter by letter: the service is asked with each. */
function KeySetting({ apiKey, field }: KeyProps) {
  const take = () => {
    const typed = field.current?.value.trim() ?? '';
    if (typed !== apiKey) setApiKey(typed);
  };
  return (
    <section>
      <h2>Service</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          take();
        }}
      >
        <Setting name="API key" hint="kept until this tab is closed">
          {(control) => (
            <input
              {...control}
              ref={field}
              type="password"
              autoComplete="off"
              defaultValue={apiKey}
              placeholder="if the service asks for one"
              onBlur={take}
            />
          )}
        </Setting>
      </form>
    </section>
  );
}
