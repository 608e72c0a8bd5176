/**
 * The options that the commands of `slipway data` share, and the part of a recipe they mean.
 */
import { join } from 'node:path';
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';

export interface DataFlags {
  readonly model?: string;
  readonly template: DataRecipe['template'];
  readonly format: DataRecipe['format'];
  readonly columns: Readonly<Record<string, string>>;
  readonly mixed: DataRecipe['mixed'];
  readonly maxLength?: number;
  readonly truncated: number;
  readonly augment?: NonNullable<DataRecipe['augment']>;
  readonly bucket?: string;
  readonly json?: true;
}

export function dataRecipe(flags: DataFlags) {
  const { template, format, columns, mixed, truncated } = flags;
  return {
    template,
    format,
    columns: { ...columns },
    mixed,
    truncated,
    max_length: flags.maxLength ?? ('auto' as const),
    augment: flags.augment ?? null,
  };
}

/** Where trainings find them, too. */
export function downloadFolder(): string {
  return join(process.env.DATA_FOLDER || 'data', 'downloads');
}
