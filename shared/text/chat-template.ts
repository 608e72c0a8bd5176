/**
 * Messages to the one text a model was trained on: its Jinja chat template, with the variables and functions transformers gives
 * it (`apply_chat_template`). Knows no tokens and no HTTP.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { AppError } from '../contracts/errors.ts';
import { formatTime } from './format-time.ts';

export interface ChatInput {
  /** Whose template it is, for what is said when it does not take the messages. */
  readonly model: string;
  /** {role, content, ...} as the template wants them. */
  readonly messages: readonly unknown[];
  /** Ends the text where the assistant's answer begins. */
  readonly addGenerationPrompt: boolean;
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly tools?: readonly unknown[] | undefined;
  /** Further variables (`enable_thinking` ...); they do not replace those above. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /** What `strftime_now` reads. */
  readonly now?: Date | undefined;
}

type Program = ReturnType<typeof parse>;

/** Parsing takes longer than rendering, and a service has few templates. */
const KEPT_TEMPLATES = 8;
const programs = new Map<string, Program>();

/** AppError invalid_source: the template is broken. invalid_field: the template refuses or cannot take these messages. */
export function renderChat(template: string, input: ChatInput): string {
  const program = compile(template, input.model);
  const environment = new Environment();
  const variables = {
    ...input.variables,
    messages: input.messages,
    tools: input.tools ?? null,
    documents: null,
    add_generation_prompt: input.addGenerationPrompt,
    bos_token: input.bosToken ?? '',
    eos_token: input.eosToken ?? '',
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    range,
    strftime_now: (format: string) => formatTime(input.now ?? new Date(), format),
    raise_exception: (message: unknown) => {
      const why = `messages: the chat template of ${input.model} refuses them: ${String(message)}`;
      throw new AppError('invalid_field', why, { field: 'messages' });
    },
  };
  try {
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return String(new Interpreter(environment).run(program).value);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('invalid_field', `messages: the chat template of ${input.model} cannot render them: ${why}`, {
      cause,
      field: 'messages',
    });
  }
}

function compile(template: string, model: string): Program {
  const known = programs.get(template);
  if (known) return known;
  let program: Program;
  try {
    // How transformers sets up Jinja. The tokenizer also leaves out {% generation %}, which marks what to train on.
    program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('invalid_source', `the chat template of ${model} cannot be parsed: ${why}`, { cause });
  }
  if (programs.size >= KEPT_TEMPLATES) programs.clear();
  programs.set(template, program);
  return program;
}

/** Python's. */
function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error('range() arg 3 must not be zero');
  return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
}
