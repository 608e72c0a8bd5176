/**
 * The line on top: what this is, and the switches that concern the whole page.
 */
import { choose } from '../conversation/chosen.ts';
import type { Preferences } from '../conversation/preferences.ts';
import { Icon, Mark } from './icons.tsx';
import './header.css';

interface Props {
  readonly preferences: Preferences;
  readonly isEmpty: boolean;
  readonly onNew: () => void;
}

const THEMES = [
  { theme: 'system', icon: 'system', label: 'As the system' },
  { theme: 'light', icon: 'sun', label: 'Light' },
  { theme: 'dark', icon: 'moon', label: 'Dark' },
] as const;

export function Header({ preferences, isEmpty, onNew }: Props) {
  const { theme, showProbabilities, showSettings } = preferences;
  return (
    <header className="header">
      <h1 className="wordmark">
        <Mark />
        Slipway <span>playground</span>
      </h1>
      <div className="header-tools">
        <button type="button" className="tool" disabled={isEmpty} onClick={onNew}>
          <Icon name="fresh" />
          <span>New</span>
        </button>
        <button
          type="button"
          className="tool"
          aria-pressed={showProbabilities}
          onClick={() => choose({ showProbabilities: !showProbabilities })}
        >
          <Icon name="spread" />
          <span>Probabilities</span>
        </button>
        <fieldset className="theme">
          <legend className="unseen">Colours</legend>
          {THEMES.map((one) => (
            <label key={one.theme} title={one.label}>
              <input
                type="radio"
                name="theme"
                className="unseen"
                checked={theme === one.theme}
                onChange={() => choose({ theme: one.theme })}
              />
              <Icon name={one.icon} />
              <span className="unseen">{one.label}</span>
            </label>
          ))}
        </fieldset>
        <button
          type="button"
          className="tool"
          aria-expanded={showSettings}
          aria-controls="settings"
          onClick={() => choose({ showSettings: !showSettings })}
        >
          <Icon name="settings" />
          <span>Settings</span>
        </button>
      </div>
    </header>
  );
}
