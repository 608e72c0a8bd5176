/**
 * What was asked and how, and where each version comes from: enough to do it again.
 */
import type { EvaluatedVersion, Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { html, type Markup } from './markup.ts';

const SHOWN_HASH = 12;

export function lineageSection({ data, settings, versions, compared, samples }: Evaluation): Markup {
  const rejected = data.rejected.first.map(({ file, line, reason }) => `${file}, line ${line}: ${reason}`);
  return html`<section class="lineage"><h2>How it was measured</h2><div class="cards">
<article><h3>Data and settings</h3>${list([
    ['data', data.files.map(({ name, sha256 }) => `${name} (sha256 ${sha256.slice(0, SHOWN_HASH)})`).join('\n')],
    ['samples', `${samples.length}${settings.limit === null ? '' : `, the first ${settings.limit} were asked for`}`],
    ['figures', compared === samples.length ? 'of all of them' : `of the ${compared} that every version answered`],
    ['left out', data.rejected.count === 0 ? '' : `${data.rejected.count} lines\n${rejected.join('\n')}`],
    [
      'answers',
      `at most ${settings.max_new_tokens} tokens, ${settings.temperature === 0 ? 'greedy' : `temperature ${settings.temperature}, seed ${settings.seed}`}`,
    ],
    ['at once', String(settings.at_once)],
  ])}</article>
${versions.map(versionCard)}</div></section>`;
}

function versionCard(version: EvaluatedVersion): Markup {
  const { lineage, precision, parameters, bytes, created_at, system_fingerprint } = version;
  const training = lineage?.training;
  return html`<article><h3>${version.name}</h3>${list([
    ['precision', precision ?? ''],
    ['parameters', parameters?.toLocaleString('en') ?? ''],
    ['size', bytes === null ? '' : `${(bytes / 2 ** 20).toFixed(1)} MiB`],
    ['made', created_at ?? ''],
    ['run', lineage?.run ?? ''],
    ['parent', lineage?.parent ?? ''],
    [
      'trained on',
      (lineage?.data ?? []).map(({ name, sha256 }) => `${name} (sha256 ${sha256.slice(0, SHOWN_HASH)})`).join('\n'),
    ],
    [
      'training',
      training === undefined
        ? ''
        : `${training.steps} steps, ${training.tokens.toLocaleString('en')} tokens, ${training.seconds.toFixed(0)} s`,
    ],
    [
      'loss',
      [training?.loss, training?.validation_loss]
        .filter((loss) => loss != null)
        .map((loss) => loss.toFixed(4))
        .join(' trained on, held out '),
    ],
    ['git commit', lineage?.git_commit?.slice(0, SHOWN_HASH) ?? ''],
    ['seeds', pairs(lineage?.seeds)],
    ['libraries', pairs(lineage?.libraries)],
    ['fingerprint', system_fingerprint ?? ''],
    ['cut answers', version.cut === 0 ? '' : `${version.cut} reached the limit of new tokens`],
    ['refused', version.failed === 0 ? '' : `${version.failed} samples`],
  ])}${lineage?.config === undefined ? '' : html`<details><summary>settings of the run</summary><pre>${JSON.stringify(lineage.config, null, 2)}</pre></details>`}</article>`;
}

function list(rows: readonly (readonly [string, string])[]): Markup {
  return html`<dl>${rows.filter(([, value]) => value !== '').map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function pairs(record: Readonly<Record<string, string | number>> | undefined): string {
  return Object.entries(record ?? {})
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
