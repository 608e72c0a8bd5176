/**
 * The chat templates that data can be written in by name, beside a model's own, and the token that ends a turn in each. A template whose
 * end of turn the tokenizer does not have as one token is refused: the model could not learn to stop.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

export const TEMPLATE_NAMES = ['model', 'chatml', 'alpaca', 'llama2', 'llama3', 'phi'] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** What ends a turn; null: the model's own end-of-text token, which the template writes. */
const ENDS: Readonly<Record<Exclude<TemplateName, 'model'>, string | null>> = {
  chatml: '<|im_end|>',
  llama3: '<|eot_id|>',
  phi: '<|end|>',
  alpaca: null,
  llama2: null,
};

export interface FoundTemplate {
  readonly source: string | null;
  readonly stopIds: readonly number[];
}

interface TemplateModel {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: string | null;
  readonly eosTokenIds: readonly number[];
}

/** AppError invalid_field: the tokenizer lacks what ends a turn. */
export function findTemplate(name: TemplateName, model: TemplateModel): FoundTemplate {
  if (name === 'model') return { source: model.chatTemplate, stopIds: [] };
  const source = readFileSync(join(import.meta.dirname, `${name}.jinja`), 'utf8');
  const end = ENDS[name];
  if (end === null) {
    if (model.eosTokenIds.length > 0) return { source, stopIds: [] };
    throw new AppError(
      'invalid_field',
      `data.template ${name} ends a turn with the end-of-text token, and this tokenizer has none`,
    );
  }
  const [id, ...more] = model.tokenizer.encode(end, { addBos: false, parseSpecial: true });
  if (id !== undefined && more.length === 0 && model.tokenizer.pieceOf(id) === end) return { source, stopIds: [id] };
  throw new AppError(
    'invalid_field',
    `data.template ${name} ends a turn with ${end}, which is no token of this tokenizer: choose alpaca or llama2, which end with the model's own token, or a tokenizer that has it`,
  );
}
