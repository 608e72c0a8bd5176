/**
 * Where a followed run is shown: a screen of its own that is redrawn, plain lines where there is no terminal, or JSON lines for programs.
 * Owns the terminal's state and gives it back.
 */
import type { LoggedEvent } from '@slipway/trainer/runs';
import { humanSeconds } from '../human-units.ts';
import { COLOURS, type RunView, runLines, sampleInWords } from './run-lines.ts';
import { type RunPicture, secondsLeft } from './run-picture.ts';

export interface RunScreen {
  /** New events, and what they make of the picture. */
  show(events: readonly LoggedEvent[], picture: RunPicture): void;
  /** What Ctrl-C does from now on. */
  hint(text: string): void;
  close(): void;
}

/** Of a line without a terminal. */
const SAMPLE_WIDTH = 100;
/** A run that is taken up at once says so sooner; this one waits behind others. */
const SILENCE_MILLISECONDS = 3000;

/** Another screen, no cursor, and lines that are too long cut off instead of broken. */
const ALTERNATE = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const BACK = '\x1b[?7h\x1b[?25h\x1b[?1049l';
/** A terminal that knows these shows a frame at once, without flicker. */
const FRAME_BEGIN = '\x1b[?2026h\x1b[H';
const FRAME_END = '\x1b[J\x1b[?2026l';

export function openRunScreen(view: RunView, isJson: boolean, stream: NodeJS.WriteStream = process.stdout): RunScreen {
  if (isJson) return jsonLines(stream);
  return stream.isTTY ? liveScreen(view, stream) : plainLines(stream);
}

function liveScreen(view: RunView, stream: NodeJS.WriteStream): RunScreen {
  let last: RunPicture | undefined;
  let { hint } = view;
  let shown = '';
  const draw = () => {
    if (last === undefined) return;
    const lines = runLines({ ...view, hint }, last, stream.columns, stream.rows - 1, COLOURS);
    const frame = lines.map((line) => `${line}\x1b[K`).join('\n');
    if (frame !== shown) stream.write(`${FRAME_BEGIN}${frame}${FRAME_END}`);
    shown = frame;
  };
  const redraw = () => {
    shown = '';
    draw();
  };
  stream.write(ALTERNATE);
  stream.on('resize', redraw);
  const giveBack = () => stream.write(BACK);
  process.once('exit', giveBack);
  return {
    show(_, picture) {
      last = picture;
      draw();
    },
    hint(text) {
      hint = text;
      draw();
    },
    close() {
      stream.off('resize', redraw);
      process.off('exit', giveBack);
      giveBack();
    },
  };
}

function plainLines(stream: NodeJS.WriteStream): RunScreen {
  const openedAt = performance.now();
  let phase = '';
  let isSilent = true;
  const say = (text: string) => {
    isSilent = false;
    stream.write(`${text}\n`);
  };
  return {
    show(events, picture) {
      if (isSilent && events.length === 0 && performance.now() - openedAt > SILENCE_MILLISECONDS) {
        say(`${picture.state}: ${picture.message}`);
      }
      const newest = Math.max(...events.map((event) => (event.type === 'sample' ? event.step : 0)));
      for (const event of events) {
        if (event.type === 'sample' && event.step < newest) continue;
        if (event.type === 'phase') {
          if (event.phase !== phase) say(`${event.phase} ...`);
          phase = event.phase;
        } else for (const line of inWords(event, picture)) say(line);
      }
    },
    hint: say,
    close() {},
  };
}

function inWords(event: LoggedEvent, picture: RunPicture): string[] {
  switch (event.type) {
    case 'state':
      // Of what it failed the event before tells, and the outcome.
      return event.state === 'failed' ? [] : [`${event.state}: ${event.message}`];
    case 'data':
      return [
        `data: ${event.format === 'text' ? 'text' : `${grouped(event.examples)} examples`}, ${grouped(event.tokens)} tokens, ${grouped(event.validation_tokens)} held out, ${grouped(event.rejected)} lines left out`,
      ];
    case 'started':
      return [
        `${grouped(event.parameters)} parameters on ${event.device} in ${event.precision}, ${event.total_steps} steps${event.resumed_from === null ? '' : `, going on from ${event.resumed_from}`}`,
      ];
    case 'progress': {
      const left = secondsLeft(picture);
      const eta = left === null || event.step === event.total_steps ? '' : `, ${humanSeconds(left)} left`;
      return [
        `step ${event.step}/${event.total_steps}: loss ${event.loss.toFixed(4)}, ${grouped(Math.round(event.tokens_per_second))} tokens/s${eta}`,
      ];
    }
    case 'evaluation':
      return [`step ${event.step}: held-out loss ${event.loss.toFixed(4)}${event.best ? ', the best so far' : ''}`];
    case 'sample': {
      const step = `step ${event.step}: `;
      const { begins, goesOn } = sampleInWords(event, SAMPLE_WIDTH - step.length);
      return [`${step}${begins}${goesOn}`];
    }
    case 'micro_batch':
      return [`memory ran out: ${event.to} sequences at once instead of ${event.from}`];
    case 'log':
      return [event.level === 'info' ? event.message : `${event.level}: ${event.message}`];
    case 'failure':
      // Never tried again: the outcome says it.
      if (event.class === 'user_input') return [];
      return [`failure (${event.class}): ${event.message}`];
    case 'published':
      return [`published ${event.version}`];
    case 'checkpoint':
    case 'phase':
      return [];
  }
}

function grouped(count: number): string {
  return count.toLocaleString('en');
}

function jsonLines(stream: NodeJS.WriteStream): RunScreen {
  return {
    show(events) {
      for (const event of events) stream.write(`${JSON.stringify({ event: event.type, ...event })}\n`);
    },
    hint() {},
    close() {},
  };
}
