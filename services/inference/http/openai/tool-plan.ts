/**
 * What a chat's tools and `tool_choice` mean for the model it goes to: what the template is told, what the answer is held to, and how
 * calls are read back. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { ChatRequest } from '@slipway/shared/contracts/openai/chat.ts';
import type { Tool } from '@slipway/shared/contracts/openai/chat-message.ts';
import type { AnswerForm, ResponseFormat } from '@slipway/shared/contracts/response-format.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import { forcedCalls } from '../../generation/tools/forced-calls.ts';
import type { ToolCallParserOptions } from '../../generation/tools/tool-call-parser.ts';
import { markerTokens, PLAIN, toolSyntaxOf } from '../../generation/tools/tool-syntax.ts';

export type CallReading = Omit<ToolCallParserOptions, 'holds'>;

export interface ToolPlan {
  readonly tools: readonly Tool[];
  readonly form: AnswerForm | undefined;
  /** Undefined: what the model writes is text. */
  readonly reading: CallReading | undefined;
  readonly shownTokens: ReadonlySet<number>;
}

type Fields = Pick<ChatRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls'>;

/** `format`: what the answer is to be where it is no call. AppError invalid_field. */
export function planTools(
  fields: Fields,
  format: ResponseFormat | undefined,
  model: Pick<LoadedModel, 'chatTemplate' | 'tokenizer'>,
  warn: (warning: string) => void,
): ToolPlan {
  const { tools = [], tool_choice: choice = 'auto', parallel_tool_calls: isParallel } = fields;
  const text: ToolPlan = { tools, form: format, reading: undefined, shownTokens: new Set() };
  const callable = choice === 'none' ? [] : callableTools(tools, choice);
  // A model that is told of tools calls them.
  if (callable.length === 0) return { ...text, tools: [] };
  const isForced = choice !== 'auto';
  const template = model.chatTemplate ?? '';
  const known = toolSyntaxOf(template);
  if (!template.includes('tools')) warn("the model's chat template says nothing of tools: it does not know them");
  if (known === undefined && !isForced) return text;
  const syntax = known ?? PLAIN;
  const isSingle = typeof choice === 'object' || !isParallel;
  const otherwise = format?.type === 'json_object' || format?.type === 'json_schema' ? format : undefined;
  const functions = callable.map(({ function: { name, parameters } }) => ({
    name,
    parameters: parameters ?? undefined,
  }));
  const isHeld = isForced || otherwise !== undefined;
  const calls = isHeld ? forcedCalls(syntax, functions, isSingle) : undefined;
  return {
    tools,
    form: calls === undefined || isForced ? (calls ?? format) : { ...calls, otherwise },
    reading: {
      syntax,
      names: new Set(functions.map(({ name }) => name)),
      mostCalls: isSingle ? 1 : Number.POSITIVE_INFINITY,
      isBare: isHeld || syntax.isBare,
      isForced,
    },
    shownTokens: markerTokens(syntax, model.tokenizer),
  };
}

function callableTools(tools: readonly Tool[], choice: NonNullable<ChatRequest['tool_choice']>): readonly Tool[] {
  const names = tools.map(({ function: { name } }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw wrong('tools', `has two functions with the name ${twice}`);
  if (choice === 'required' && tools.length === 0) throw wrong('tool_choice', 'is "required", but there are no tools');
  if (typeof choice !== 'object') return tools;
  const { name } = choice.function;
  const named = tools.filter((tool) => tool.function.name === name);
  if (named.length === 0) throw wrong('tool_choice', `names ${JSON.stringify(name)}, which is not among the tools`);
  return named;
}

function wrong(field: string, what: string): AppError {
  return new AppError('invalid_field', `${field} ${what}`, { field });
}
