/**
 * What an empty conversation shows: who is there, and a few ways to begin.
 */
import type { ServiceModels } from '../conversation/service-models.ts';
import type { Lane } from './lane.ts';
import './beginning.css';

interface Props {
  readonly service: ServiceModels;
  readonly lane: Lane | undefined;
  readonly onBegin: (text: string) => void;
}

const BEGINNINGS = {
  chat: [
    'Why is the sea salt?',
    'Write a haiku about a ship leaving the slipway.',
    'Give me three names for a small boat.',
  ],
  completion: ['Once upon a time', 'The old boat lay on the beach,', 'ROMEO:'],
} as const;

export function Beginning({ service, lane, onBegin }: Props) {
  if (!service.asked) return null;
  if (lane === undefined) {
    return <p className="beginning-line">The service has no models yet. Convert one, and it appears here.</p>;
  }
  return (
    <div className="beginning">
      <p className="beginning-line">
        {lane.mode === 'chat' ? (
          <>
            Ask <em>{lane.model.id}</em> something.
          </>
        ) : (
          <>
            Begin a text, and <em>{lane.model.id}</em> goes on with it.
          </>
        )}
      </p>
      <ul>
        {BEGINNINGS[lane.mode].map((text) => (
          <li key={text}>
            <button type="button" onClick={() => onBegin(text)}>
              {text}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
