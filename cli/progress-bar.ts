/**
 * One line on stderr that says how far a long work is: redrawn in place on a terminal, one line per phase elsewhere.
 */
const WIDTH = 24;
const REDRAW_MS = 80;

export interface ProgressBar {
  /** `part` is 0..1 of this phase. */
  update(phase: string, part: number): void;
  /** Takes the line away. */
  end(): void;
}

export function createProgressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  let shownPhase = '';
  let drawnAt = 0;
  return {
    update(phase, part) {
      const now = performance.now();
      const isNew = phase !== shownPhase;
      shownPhase = phase;
      if (!stream.isTTY) {
        if (isNew) stream.write(`${phase} ...\n`);
        return;
      }
      if (!isNew && now - drawnAt < REDRAW_MS) return;
      drawnAt = now;
      const share = Math.min(1, Math.max(0, part));
      const filled = Math.round(share * WIDTH);
      const percent = String(Math.floor(share * 100)).padStart(3);
      stream.write(`\r\x1b[K${phase.padEnd(12)} ${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${percent} %`);
    },
    end() {
      if (stream.isTTY) stream.write('\r\x1b[K');
    },
  };
}
