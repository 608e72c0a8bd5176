/**
 * Above each lane: which model answers in it, and what is known of that. Opens the second lane and closes it.
 */
import type { Model } from '../api/models.ts';
import { choose } from '../conversation/chosen.ts';
import { nameOf, type Preferences } from '../conversation/preferences.ts';
import { Icon } from './icons.tsx';
import type { Lane } from './lane.ts';
import './lane-bar.css';

interface Props {
  readonly lanes: readonly Lane[];
  readonly models: readonly Model[];
  readonly preferences: Preferences;
}

export function LaneBar({ lanes, models, preferences }: Props) {
  const select = (lane: number, id: string) =>
    choose({ models: preferences.models.map((chosen, index) => (index === lane ? id : chosen)) });
  return (
    <section className="lane-bar lanes" aria-label="Models">
      {lanes.map((lane, at) => (
        <div className="lane-head" key={lane.index}>
          <label className="model">
            <span className="unseen">{lanes.length === 1 ? 'Model' : `Model ${at + 1}`}</span>
            <select value={lane.model.id} onChange={(event) => select(lane.index, event.target.value)}>
              <ModelOptions models={models} />
            </select>
          </label>
          <span className="model-facts">{factsOf(lane.model)}</span>
          {at === 0 && lanes.length === 1 && (
            <button type="button" className="tool" onClick={() => choose({ lanes: 2 })}>
              <Icon name="columns" />
              <span>Compare</span>
            </button>
          )}
          {at === 1 && (
            <button
              type="button"
              className="tool"
              onClick={() => choose({ lanes: 1 })}
              aria-label="Close the second lane"
            >
              <Icon name="close" />
            </button>
          )}
        </div>
      ))}
    </section>
  );
}

/** A name and its versions together. */
function ModelOptions({ models }: { readonly models: readonly Model[] }) {
  const groups = Map.groupBy(models, nameOf);
  return [...groups].map(([name, group]) => (
    <optgroup key={name} label={name}>
      {group.map(({ id }) => (
        <option key={id} value={id}>
          {id}
        </option>
      ))}
    </optgroup>
  ));
}

/** What the id does not say already. */
function factsOf({ id, slipway }: Model): string {
  const { version, precision, context_length: context, loaded } = slipway ?? {};
  return [
    version != null && !id.endsWith(`@${version}`) ? version : '',
    precision ?? '',
    context == null ? '' : `${context.toLocaleString('en')} tokens`,
    loaded === false ? 'loaded when asked' : '',
  ]
    .filter((fact) => fact !== '')
    .join(' · ');
}
