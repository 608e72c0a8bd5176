/**
 * `slipway models compare`: two versions beside each other, figures first, then what differs.
 */
import { type Comparison, compareManifests, type Figures } from '@slipway/shared/contracts/compare-manifests.ts';
import { humanBytes } from '../human-units.ts';
import { textTable } from '../text-table.ts';
import { bucketOf, type CommonOptions, print } from './bucket-option.ts';

const SHOWN = 44;

/** `right` may be a bare v002 of the same model. */
export async function compare(left: string, right: string, options: CommonOptions): Promise<void> {
  const bucket = bucketOf(options);
  const first = await bucket.resolve(left);
  const second = await bucket.resolve(/^v\d+$/.test(right) ? `${first.name}@${right}` : right);
  const comparison = compareManifests(first, second);
  print(options, comparison, () => draw(comparison));
}

function draw({ left, right, figures, is_same_text, differences, same }: Comparison): string {
  const { left: a, right: b } = figures;
  const row = (label: string, show: (own: Figures) => string, remark = '') => [label, show(a), show(b), remark];
  const times = (before: number, after: number) => `x ${(after / before).toFixed(4)}`;
  const rows = [
    row('size', ({ bytes }) => humanBytes(bytes), change(a.bytes, b.bytes)),
    row('bits per weight', (own) => own.bits_per_weight.toFixed(2), change(a.bits_per_weight, b.bits_per_weight)),
    row(
      'perplexity',
      (own) => own.perplexity.toFixed(3),
      is_same_text ? times(a.perplexity, b.perplexity) : 'on other text',
    ),
    row(
      "  times its source's",
      (own) => own.perplexity_ratio.toFixed(4),
      times(a.perplexity_ratio, b.perplexity_ratio),
    ),
    row('KL divergence', (own) => own.kl_divergence.toPrecision(2)),
    row('top-1 agreement', (own) => `${(own.top1_agreement * 100).toFixed(1)} %`),
    ...differences.map(({ what, left: own, right: other }) => [what, shown(own), shown(other)]),
  ];
  const table = textTable(['', `>${left}`, `>${right}`, ''], rows);
  return `${table}\n\nThe same in both: ${same.join(', ') || 'nothing'}.`;
}

function change(before: number, after: number): string {
  const factor = before / after;
  if (Math.abs(factor - 1) < 0.005) return 'the same';
  return factor > 1 ? `${factor.toFixed(2)} times smaller` : `${(1 / factor).toFixed(2)} times larger`;
}

function shown(value: string | null): string {
  if (value === null) return '-';
  if (/^[0-9a-f]{64}$/.test(value)) return value.slice(0, 12);
  const line = value.replaceAll(/\s+/g, ' ');
  return line.length > SHOWN ? `${line.slice(0, SHOWN - 3)}...` : line;
}
