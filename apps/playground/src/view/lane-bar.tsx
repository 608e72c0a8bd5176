/**
 * Above each lane: which model answers in it, and what is known of that. Opens the second lane and closes it.
 */
import { type Model, nameOf } from '../api/models.ts';
import { choose } from '../conversation/chosen.ts';
import type { Preferences } from '../conversation/preferences.ts';
import { load, type ServiceModels } from '../conversation/service-models.ts';
import { Icon } from './icons.tsx';
import type { Lane } from './lane.ts';
import { adviceOf } from './notice.tsx';
import './lane-bar.css';

interface Props {
  readonly lanes: readonly Lane[];
  readonly service: ServiceModels;
  readonly preferences: Preferences;
}

export function LaneBar({ lanes, service, preferences }: Props) {
  const select = (lane: number, id: string) =>
    choose({ models: preferences.models.map((chosen, index) => (index === lane ? id : chosen)) });
  return (
    <section className="lane-bar lanes" aria-label="Models">
      {lanes.map(({ index, model }) => (
        <div className="lane-head" key={index}>
          <label className="model">
            <span className="unseen">{lanes.length === 1 ? 'Model' : `Model ${index + 1}`}</span>
            <select value={model.id} onChange={(event) => select(index, event.target.value)}>
              <ModelOptions models={service.models} />
            </select>
          </label>
          <span className="model-facts">{factsOf(model)}</span>
          {model.slipway?.loaded === false && <LoadButton id={model.id} loads={service.loads} />}
          <LaneButton index={index} lanes={lanes.length} />
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

function LoadButton({ id, loads }: { readonly id: string; readonly loads: ServiceModels['loads'] }) {
  const outcome = loads[id];
  const isLoading = outcome === null;
  return (
    <>
      <button type="button" className="plain" disabled={isLoading} onClick={() => void load(id)}>
        {isLoading ? 'Loading …' : 'Load'}
      </button>
      {outcome != null && (
        <span className="model-problem" role="alert">
          {adviceOf(outcome)}
        </span>
      )}
    </>
  );
}

function LaneButton({ index, lanes }: { readonly index: number; readonly lanes: number }) {
  if (lanes === 1) {
    return (
      <button type="button" className="tool" onClick={() => choose({ lanes: 2 })}>
        <Icon name="columns" />
        <span>Compare</span>
      </button>
    );
  }
  if (index === 0) return null;
  return (
    <button
      type="button"
      className="tool"
      title="Close"
      aria-label="Close the second lane"
      onClick={() => choose({ lanes: 1 })}
    >
      <Icon name="close" />
    </button>
  );
}

/** What the id does not say already. */
function factsOf({ id, slipway }: Model): string {
  const { version, precision, context_length: context, loaded } = slipway ?? {};
  return [
    version != null && !id.endsWith(`@${version}`) ? version : '',
    precision ?? '',
    context == null ? '' : `${context.toLocaleString('en')} tokens`,
    loaded === false ? 'not loaded' : '',
  ]
    .filter((fact) => fact !== '')
    .join(' · ');
}
