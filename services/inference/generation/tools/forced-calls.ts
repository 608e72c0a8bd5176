/**
 * The form of an answer that must be calls of tools, as the model's family writes them. Pure.
 */
import type { CallsForm } from '@slipway/shared/contracts/response-format.ts';
import type { ToolSyntax } from './tool-syntax.ts';

export interface CallableTool {
  readonly name: string;
  /** A JSON schema of an object. Undefined: it has no parameters. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

/** A model that cannot find an end writes no more than so many. */
const MOST_CALLS = 16;
const NO_PARAMETERS = { type: 'object', properties: {}, additionalProperties: false };

/** `isSingle`: exactly one call. */
export function forcedCalls(syntax: ToolSyntax, tools: readonly CallableTool[], isSingle: boolean): CallsForm {
  const { marker, closing, isBare, isList, argumentsName } = syntax;
  // Markers that the grammar can hold are text; where a family's is a special token, the call stands alone.
  const isMarked = closing !== null && marker !== null;
  return {
    type: 'tool_calls',
    open: isList ? '[' : '',
    calls: tools.map(({ name, parameters }) => ({
      name,
      before: `${isMarked ? `${marker}\n` : ''}{"name": ${JSON.stringify(name)}, "${argumentsName}": `,
      schema: parameters === undefined ? NO_PARAMETERS : { type: 'object', ...parameters },
      after: isMarked ? `}\n${closing}` : '}',
    })),
    separator: isList ? `${syntax.separator} ` : syntax.separator,
    close: isList ? ']' : '',
    most: isSingle || isBare ? 1 : MOST_CALLS,
  };
}
