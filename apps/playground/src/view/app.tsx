/**
 * The page: header, the lanes with their transcript, the composer, the settings beside them. Joins what is chosen with what is known of
 * the service; has no state but where the cursor should go.
 */
import { useCallback, useEffect, useRef } from 'react';
import { clearConversation, regenerate, send, stopAll, turnsStore } from '../conversation/answering.ts';
import { apiKeyStore, choose, preferencesStore } from '../conversation/chosen.ts';
import { isRunning } from '../conversation/conversation.ts';
import { useStore } from '../conversation/external-store.ts';
import { modelsStore } from '../conversation/service-models.ts';
import { Composer } from './composer.tsx';
import { Header } from './header.tsx';
import { askingOf, lanesOf } from './lane.ts';
import { LaneBar } from './lane-bar.tsx';
import { SettingsPanel } from './settings-panel.tsx';
import { Transcript } from './transcript.tsx';
import './app.css';

export function App() {
  const preferences = useStore(preferencesStore);
  const apiKey = useStore(apiKeyStore);
  const service = useStore(modelsStore);
  const turns = useStore(turnsStore);
  const composer = useRef<HTMLTextAreaElement>(null);
  const keyField = useRef<HTMLInputElement>(null);

  const lanes = lanesOf(service.models, preferences);
  const running = turns.at(-1)?.answers.some(isRunning) ?? false;

  const submit = (prompt: string) =>
    send(
      prompt,
      lanes.map((lane) => askingOf(lane, preferences, apiKey)),
    );
  const again = (turnId: string, laneIndex: number) => {
    const lane = lanes.find(({ index }) => index === laneIndex);
    if (lane !== undefined) regenerate(turnId, askingOf(lane, preferences, apiKey));
  };
  const startAnew = () => {
    clearConversation();
    composer.current?.focus();
  };
  const begin = (text: string) => {
    const field = composer.current;
    if (field === null) return;
    field.value = text;
    field.focus();
  };
  const askForKey = useCallback(() => {
    choose({ showSettings: true });
    // The panel may have to be drawn first.
    requestAnimationFrame(() => keyField.current?.focus());
  }, []);

  useEffect(() => {
    const onKeyDown = ({ key }: KeyboardEvent) => {
      if (key === 'Escape') stopAll();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);

  return (
    <div className="page" data-lanes={lanes.length} data-settings={preferences.showSettings}>
      <Header preferences={preferences} isEmpty={turns.length === 0} onNew={startAnew} />
      <main className="stage">
        <LaneBar lanes={lanes} service={service} preferences={preferences} />
        <Transcript
          turns={turns}
          lanes={lanes}
          service={service}
          running={running}
          showProbabilities={preferences.showProbabilities}
          onAgain={again}
          onAskForKey={askForKey}
          onBegin={begin}
        />
        <Composer
          field={composer}
          lanes={lanes}
          running={running}
          showProbabilities={preferences.showProbabilities}
          onSend={submit}
          onStop={stopAll}
        />
      </main>
      {preferences.showSettings && (
        <SettingsPanel preferences={preferences} apiKey={apiKey} lanes={lanes} keyField={keyField} />
      )}
    </div>
  );
}
