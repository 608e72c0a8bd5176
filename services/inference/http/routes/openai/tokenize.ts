/**
 * `POST /tokenize`, `POST /detokenize` and `GET /tokenizer_info`: the text side of a model alone, as vLLM's clients ask for it.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import {
  type DetokenizeAnswer,
  DetokenizeRequest,
  type TokenizeAnswer,
  TokenizeRequest,
  type TokenizerInfo,
} from '@slipway/shared/contracts/openai/tokenize.ts';
import { tellWarnings } from '@slipway/shared/http/warnings.ts';
import type { LoadedModel } from '../../../generation/loaded-model.ts';
import { renderConversation } from '../../openai/chat-prompt-input.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { visited } from '../../visit.ts';

export function tokenizeRoute(parts: ServiceParts): Route {
  return visited(parts, async (visit, context) => {
    const { request, warnings } = parseOpenAiRequest(TokenizeRequest, await visit.body());
    const model = await visit.model(request.model);
    const tokens = tokensOf(request, model);
    tellWarnings(context, warnings);
    return context.json({
      count: tokens.length,
      max_model_len: model.engine.info.contextLength,
      tokens: [...tokens],
      token_strs: request.return_token_strs ? tokens.map((token) => model.tokenizer.pieceOf(token)) : null,
    } satisfies TokenizeAnswer);
  });
}

/** Encoding more would keep the event loop from answering probes. */
const LONGEST_TEXT = 2 ** 18;

/** The same ids that a completion or a chat computes. */
function tokensOf(request: TokenizeRequest, model: LoadedModel): readonly number[] {
  const { prompt, messages, add_special_tokens } = request;
  if (messages !== undefined && prompt === undefined) {
    const length = messages.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
    requireShort('messages', length);
    return renderConversation({ ...request, messages }, model, { limit: Number.MAX_SAFE_INTEGER, isWhole: true })
      .tokens;
  }
  if (prompt === undefined || messages !== undefined) {
    throw new AppError('invalid_field', 'prompt or messages must be given, one of them', { field: 'prompt' });
  }
  requireShort('prompt', prompt.length);
  const addBos = model.addBos && add_special_tokens !== false;
  return model.tokenizer.encode(prompt, { addBos, parseSpecial: false });
}

function requireShort(field: string, length: number): void {
  if (length <= LONGEST_TEXT) return;
  const most = `at most ${LONGEST_TEXT} characters are counted in one request`;
  throw new AppError('prompt_too_long', `${field} has ${length} characters; ${most}`, { field });
}

export function detokenizeRoute(parts: ServiceParts): Route {
  return visited(parts, async (visit, context) => {
    const { request, warnings } = parseOpenAiRequest(DetokenizeRequest, await visit.body());
    const { tokenizer, engine } = await visit.model(request.model);
    const { vocabularySize } = engine.info;
    const outside = request.tokens.find((token) => token >= vocabularySize);
    if (outside !== undefined) {
      throw new AppError('invalid_field', `tokens must be ids from 0 to ${vocabularySize - 1}, but has ${outside}`, {
        field: 'tokens',
      });
    }
    tellWarnings(context, warnings);
    return context.json({ prompt: tokenizer.decode(request.tokens) } satisfies DetokenizeAnswer);
  });
}

export function tokenizerInfoRoute({ models }: ServiceParts): Route {
  return async (context) => {
    const { tokenizer, engine, bosTokenId, eosTokenIds, addBos, chatTemplate } = await models.find(undefined);
    const pieceOf = (token: number | null | undefined) => (token == null ? null : tokenizer.pieceOf(token));
    return context.json({
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: engine.info.contextLength,
      vocab_size: tokenizer.vocabularySize,
      bos_token: pieceOf(bosTokenId),
      eos_token: pieceOf(eosTokenIds[0]),
      eos_token_ids: [...eosTokenIds],
      add_bos_token: addBos,
      chat_template: chatTemplate,
    } satisfies TokenizerInfo);
  };
}
