/**
 * Which tokens begin and end a text, as tokenizer.json and tokenizer_config.json say it together. Shared by the tokenizer and by
 * the readers of checkpoints, so that both mean the same.
 */
import { z } from 'zod';

const Name = z
  .union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)])
  .nullish()
  .catch(null);

const Config = z
  .object({ bos_token: Name, eos_token: Name, add_bos_token: z.boolean().nullish().catch(null) })
  .catch({ bos_token: null, eos_token: null, add_bos_token: null });

const Template = z.object({ SpecialToken: z.object({ id: z.string() }) });

export interface SpecialTokens {
  readonly bos: string | null;
  readonly eos: string | null;
  /** Whether the model wants BOS in front of a text. */
  readonly addBos: boolean;
}

export function specialTokens(postProcessor: unknown, tokenizerConfig: unknown): SpecialTokens {
  const config = Config.parse(tokenizerConfig);
  const first = firstOfTemplate(postProcessor);
  const bos = config.bos_token ?? first;
  const addBos = config.add_bos_token ?? (first !== null && first === bos);
  return { bos, eos: config.eos_token ?? null, addBos: addBos && bos !== null };
}

/** The special token that a post-processor puts in front of every text. */
function firstOfTemplate(postProcessor: unknown): string | null {
  const step = z
    .object({ type: z.string(), single: z.array(z.unknown()).optional(), processors: z.array(z.unknown()).optional() })
    .safeParse(postProcessor);
  if (!step.success) return null;
  if (step.data.type === 'Sequence') {
    return (step.data.processors ?? []).map(firstOfTemplate).find((name) => name !== null) ?? null;
  }
  const first = Template.safeParse(step.data.single?.[0]);
  return step.data.type === 'TemplateProcessing' && first.success ? first.data.SpecialToken.id : null;
}
