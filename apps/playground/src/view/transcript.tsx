/**
 * The conversation on the page. Stays at its end while answers grow, unless the reader has scrolled away.
 */
import { useLayoutEffect, useRef } from 'react';
import type { Turns } from '../conversation/conversation.ts';
import { refreshModels, type ServiceModels } from '../conversation/service-models.ts';
import { Beginning } from './beginning.tsx';
import type { Lane } from './lane.ts';
import { Notice } from './notice.tsx';
import { TurnView } from './turn-view.tsx';
import './transcript.css';

interface Props {
  readonly turns: Turns;
  readonly lanes: readonly Lane[];
  readonly service: ServiceModels;
  readonly running: boolean;
  readonly showProbabilities: boolean;
  readonly onAgain: (turnId: string, lane: number) => void;
  readonly onAskForKey: () => void;
  readonly onBegin: (text: string) => void;
}

/** Pixels that still count as the end. */
const NEAR = 60;

export function Transcript({
  turns,
  lanes,
  service,
  running,
  showProbabilities,
  onAgain,
  onAskForKey,
  onBegin,
}: Props) {
  const area = useRef<HTMLElement>(null);
  const atEnd = useRef(true);
  const count = useRef(turns.length);

  useLayoutEffect(() => {
    if (turns.length > count.current) atEnd.current = true;
    count.current = turns.length;
    if (atEnd.current && area.current !== null) area.current.scrollTop = area.current.scrollHeight;
  }, [turns]);

  const noteWhere = () => {
    const { scrollHeight = 0, scrollTop = 0, clientHeight = 0 } = area.current ?? {};
    atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR;
  };

  return (
    <section className="transcript" aria-label="Conversation" ref={area} onScroll={noteWhere}>
      <div className="transcript-column" role="log" aria-busy={running}>
        {turns.map((turn, index) => (
          <TurnView
            key={turn.id}
            turn={turn}
            lanes={lanes}
            isLast={index === turns.length - 1}
            showProbabilities={showProbabilities}
            onAgain={onAgain}
            onAskForKey={onAskForKey}
          />
        ))}
        {service.problem !== null && (
          <Notice
            problem={service.problem}
            retry="Look again"
            onRetry={() => void refreshModels()}
            onAskForKey={onAskForKey}
          />
        )}
        {service.problem === null && turns.length === 0 && (
          <Beginning service={service} lane={lanes[0]} onBegin={onBegin} />
        )}
      </div>
    </section>
  );
}
