/** The losses of two trainings as one picture: the undisturbed one, and over it the one that was killed, with the steps it was killed at. */

export interface Kill {
  readonly step: number;
  readonly victim: 'kernel' | 'supervisor';
}

const WIDTH = 720;
const HEIGHT = 300;
const PLOT = { left: 56, right: 700, top: 24, bottom: 236 };

export function resumePicture(
  undisturbed: ReadonlyMap<number, number>,
  killed: ReadonlyMap<number, number>,
  kills: readonly Kill[],
): string {
  const losses = [...undisturbed.values(), ...killed.values()];
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const last = Math.max(...undisturbed.keys());
  const across = (step: number) => PLOT.left + (step / last) * (PLOT.right - PLOT.left);
  const up = (loss: number) => PLOT.bottom - ((loss - low) / (high - low)) * (PLOT.bottom - PLOT.top);
  const pathOf = (curve: ReadonlyMap<number, number>) =>
    [...curve]
      .sort(([a], [b]) => a - b)
      .map(([step, loss], index) => `${index === 0 ? 'M' : 'L'}${across(step).toFixed(1)} ${up(loss).toFixed(1)}`)
      .join('');
  const ticks = [low, (low + high) / 2, high].map(
    (loss) =>
      `<path class="grid" d="M${PLOT.left} ${up(loss).toFixed(1)}H${PLOT.right}"/><text x="${PLOT.left - 8}" y="${(up(loss) + 4).toFixed(1)}" text-anchor="end">${loss.toFixed(2)}</text>`,
  );
  const steps = [0, last / 2, last].map(
    (step) =>
      `<text x="${across(step).toFixed(1)}" y="${PLOT.bottom + 18}" text-anchor="middle">${Math.round(step)}</text>`,
  );
  const marks = kills.map(
    ({ step, victim }) =>
      `<path class="${victim}" d="M${across(step).toFixed(1)} ${PLOT.top}V${PLOT.bottom}"><title>${victim} killed after step ${step}</title></path>`,
  );
  const key = HEIGHT - 14;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Losses of an undisturbed training and of one that was killed ${kills.length} times: the same curve">
<style>svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#444}.grid{stroke:#e5e5e5}.whole{fill:none;stroke:#f2b36b;stroke-width:7}.resumed{fill:none;stroke:#1f4e8c;stroke-width:1.6}.kernel{stroke:#c0392b;stroke-dasharray:4 3}.supervisor{stroke:#7d3c98;stroke-dasharray:1 3}</style>
${[...ticks, ...steps, ...marks].join('\n')}
<path class="whole" d="${pathOf(undisturbed)}"/>
<path class="resumed" d="${pathOf(killed)}"/>
<text x="${PLOT.left - 8}" y="14" text-anchor="end">loss</text><text x="${PLOT.right}" y="${PLOT.bottom + 36}" text-anchor="end">step</text>
<path class="whole" d="M56 ${key - 4}h24"/><text x="86" y="${key}">undisturbed</text>
<path class="resumed" d="M176 ${key - 4}h24"/><text x="206" y="${key}">killed with -9 and gone on with</text>
<path class="kernel" d="M410 ${key - 4}h24"/><text x="440" y="${key}">the kernel was killed</text>
<path class="supervisor" d="M572 ${key - 4}h24"/><text x="602" y="${key}">the supervisor</text>
</svg>
`;
}
