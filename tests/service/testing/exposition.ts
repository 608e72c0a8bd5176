/**
 * Reads Prometheus' text format strictly: a line that is none is an error here, so that a test sees it.
 */

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy;

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class Exposition {
  readonly samples: readonly Sample[];

  constructor(text: string) {
    this.samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map(parseSample);
  }

  /** All whose labels include these. */
  find(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    const wanted = Object.entries(labels);
    return this.samples.filter(
      (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
    );
  }

  /** The one whose labels include these; undefined when there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.find(name, labels);
    if (found.length > 1) throw new Error(`${found.length} samples of ${name}: ${JSON.stringify(found)}`);
    return found[0]?.value;
  }
}

function parseSample(line: string): Sample {
  const [, name, inner = '', value] = SERIES.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`not a sample: ${JSON.stringify(line)}`);
  const labels = Object.fromEntries([...inner.matchAll(LABEL)].map(([, label, text]) => [label, text]));
  return { name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) };
}
