/**
 * One turn: what was asked, and the lanes' answers to it. A continued text shows its beginning itself.
 */
import { memo } from 'react';
import type { Turn } from '../conversation/conversation.ts';
import { AnswerView } from './answer-view.tsx';
import type { Lane } from './lane.ts';
import './turn-view.css';

interface Props {
  readonly turn: Turn;
  readonly lanes: readonly Lane[];
  readonly isLast: boolean;
  readonly showProbabilities: boolean;
  readonly onAgain: (turnId: string, lane: number) => void;
  readonly onAskForKey: () => void;
}

export const TurnView = memo(function TurnView({
  turn,
  lanes,
  isLast,
  showProbabilities,
  onAgain,
  onAskForKey,
}: Props) {
  const shown = turn.answers.slice(0, Math.max(lanes.length, 1));
  const isChat = shown.length === 0 || shown.some((answer) => answer?.mode === 'chat');
  return (
    <article className="turn">
      {isChat && (
        <div className="prompt">
          <h2 className="unseen">You asked</h2>
          <p>{turn.prompt}</p>
        </div>
      )}
      <div className="lanes">
        {shown.map((answer, lane) => (
          <div className="lane" key={lane}>
            {answer !== null && (
              <AnswerView
                answer={answer}
                prompt={turn.prompt}
                showProbabilities={showProbabilities}
                onAgain={isLast && lanes[lane] !== undefined ? () => onAgain(turn.id, lane) : null}
                onAskForKey={onAskForKey}
              />
            )}
          </div>
        ))}
      </div>
    </article>
  );
});
