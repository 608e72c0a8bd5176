/**
 * The folder of a model's text side that a kernel copies into the trained model, so that what is served ends its turns as it was trained:
 * tokenizer, template, stop tokens. Writes files; knows no kernel.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import type { ModelText } from '../data/text-side.ts';

/** Replaces what is there. `chatTemplate`: the one that the data was written in. */
export async function writeTokenizerFolder(
  folder: string,
  text: ModelText,
  chatTemplate: string | null,
  stopIds: readonly number[],
): Promise<void> {
  const passing = `${folder}.passing`;
  await rm(passing, { recursive: true, force: true });
  await mkdir(passing, { recursive: true });
  const write = (name: string, content: string) => writeFile(join(passing, name), content);
  await write('tokenizer.json', JSON.stringify(text.tokenizerJson));
  await write('tokenizer_config.json', JSON.stringify(namingItsEnds(text), null, 1));
  if (chatTemplate !== null) await write('chat_template.jinja', chatTemplate);
  const generation = { bos_token_id: text.bosTokenId, eos_token_id: stopIds.length > 0 ? stopIds : null };
  await write('generation_config.json', JSON.stringify(generation, null, 1));
  await rm(folder, { recursive: true, force: true });
  await rename(passing, folder);
}

/** Old folders say in config.json alone, or in tokenizer.json, what begins and ends a text; templates look for it here. */
function namingItsEnds({ tokenizerJson, tokenizerConfig, bosTokenId, eosTokenIds }: ModelText): object {
  const { pieceOf } = loadTokenizer(tokenizerJson, tokenizerConfig);
  const given: Readonly<Record<string, unknown>> = { ...Object(tokenizerConfig) };
  const named = (name: string, id: number | null | undefined) => ({
    [name]: given[name] ?? (id == null ? null : pieceOf(id)),
  });
  return { ...given, ...named('bos_token', bosTokenId), ...named('eos_token', eosTokenIds[0]) };
}
