/**
 * `POST /v1/chat/completions`: the next message of a conversation, as one JSON answer or a stream. Knows how an answer is told; leaves
 * what its fields mean to the plan.
 */
import type { GenerateAnswer, GenerateOutput } from '@slipway/shared/contracts/generate.ts';
import {
  type ChatCompletion,
  type ChatCompletionChunk,
  type ChatDelta,
  type ChatFinishReason,
  type ChatLogprobs,
  ChatRequest,
} from '@slipway/shared/contracts/openai/chat.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import { EventStream } from '@slipway/shared/http/event-stream.ts';
import { openAiError } from '@slipway/shared/http/openai-error.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { tellWarnings } from '@slipway/shared/http/warnings.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Context } from 'hono';
import type { Generation } from '../../../generation/generate.ts';
import type { LoadedModel } from '../../../generation/loaded-model.ts';
import { ChatChoiceWriter, wholeMessage } from '../../openai/chat-choice.ts';
import { planChat } from '../../openai/chat-plan.ts';
import { chatLogprobs, promptLogprobs } from '../../openai/logprobs.ts';
import { usageOf } from '../../openai/token-usage.ts';
import type { CallReading } from '../../openai/tool-plan.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { summaryOf, type Visit, visited } from '../../visit.ts';

export function chatCompletionsRoute(parts: ServiceParts): Route {
  return visited(parts, async (visit, context) => {
    const { generation, chunks, started, model, envelope, reading } = await begin(visit, context, parts);
    const running = visit.run(generation);
    if (chunks === undefined) {
      const answer = await running;
      visit.log(summaryOf(answer));
      return context.json(wholeAnswer(envelope, model, answer, reading));
    }
    return visit.stream(chunks.events, started, running, {
      done: (answer) => chunks.end(answer),
      failed: (error) => chunks.events.send(openAiError(error, visit.requestId)),
      summary: summaryOf,
    });
  });
}

type Envelope = Pick<ChatCompletion, 'id' | 'created' | 'model' | 'system_fingerprint'>;

interface Begun {
  readonly generation: Generation;
  readonly model: LoadedModel;
  readonly envelope: Envelope;
  /** When a stream was asked for. */
  readonly chunks: ChunkStream | undefined;
  readonly started: Promise<void>;
  readonly reading: CallReading | undefined;
}

/** From the bytes to what waits for its turn. A function of its own: body and messages end with it, and are not kept waiting. */
async function begin(visit: Visit, context: Context<RequestEnvironment>, { config }: ServiceParts): Promise<Begun> {
  const { request, warnings } = parseOpenAiRequest(ChatRequest, await visit.body());
  const model = await visit.model(request.model);
  const told = [...warnings];
  const plan = planChat(request, model, config, (warning) => told.push(warning));
  tellWarnings(context, told);
  const envelope: Envelope = {
    id: newId('chatcmpl'),
    created: Math.floor(Date.now() / 1000),
    model: model.name,
    system_fingerprint: model.fingerprint,
  };
  const { reading, shownTokens } = plan.tools;
  const includeUsage = request.stream_options?.include_usage === true;
  const writers = Array.from({ length: request.n }, () => new ChatChoiceWriter(reading));
  const chunks = request.stream ? new ChunkStream(envelope, model, writers, includeUsage) : undefined;
  const started = Promise.withResolvers<void>();
  const generation = visit.generation(model, {
    id: envelope.id,
    request: plan.request,
    goesOn: true,
    shownTokens,
    onStart() {
      chunks?.begin();
      started.resolve();
    },
    ...(chunks === undefined ? {} : { onDelta: (output: GenerateOutput) => chunks.add(output) }),
  });
  return { generation, model, envelope, chunks, started: started.promise, reading };
}

/** The events of one streamed answer. */
class ChunkStream {
  readonly events = new EventStream();
  readonly #head: Omit<ChatCompletionChunk, 'choices'>;
  readonly #model: LoadedModel;
  readonly #writers: readonly ChatChoiceWriter[];
  readonly #includeUsage: boolean;

  constructor(envelope: Envelope, model: LoadedModel, writers: readonly ChatChoiceWriter[], includeUsage: boolean) {
    // OpenAI's have the field in every event when it was asked for, and then it is null but in the last.
    this.#head = { ...envelope, object: 'chat.completion.chunk', ...(includeUsage ? { usage: null } : {}) };
    this.#model = model;
    this.#writers = writers;
    this.#includeUsage = includeUsage;
  }

  begin(): void {
    for (const [index, { beginning }] of this.#writers.entries()) this.#send(index, beginning);
  }

  add({ index, text, logprobs, finish_reason }: GenerateOutput): void {
    const writer = this.#writers[index];
    if (writer === undefined) throw new Error(`there is no choice ${index}`);
    const deltas = [...writer.add(text), ...(finish_reason === null ? [] : writer.end())];
    const reason = writer.finishReason(finish_reason);
    const listed =
      logprobs === undefined || logprobs.length === 0 ? null : chatLogprobs(this.#model.tokenizer, logprobs);
    if (deltas.length === 0 && listed !== null) deltas.push({});
    for (const [place, delta] of deltas.entries()) this.#send(index, delta, place === 0 ? listed : null);
    if (reason !== null) this.#send(index, {}, null, reason);
  }

  end(answer: GenerateAnswer): void {
    if (this.#includeUsage) this.events.send({ ...this.#head, choices: [], usage: usageOf([answer]) });
    this.events.sendDone();
  }

  #send(
    index: number,
    delta: ChatDelta,
    logprobs: ChatLogprobs | null = null,
    finish_reason: ChatFinishReason | null = null,
  ): void {
    const chunk: ChatCompletionChunk = { ...this.#head, choices: [{ index, delta, logprobs, finish_reason }] };
    this.events.send(chunk);
  }
}

function wholeAnswer(
  envelope: Envelope,
  { tokenizer }: LoadedModel,
  answer: GenerateAnswer,
  reading: CallReading | undefined,
): ChatCompletion {
  return {
    ...envelope,
    object: 'chat.completion',
    choices: answer.outputs.map(({ index, text, logprobs, finish_reason }) => ({
      index,
      ...wholeMessage(text, finish_reason, reading),
      logprobs: logprobs === undefined ? null : chatLogprobs(tokenizer, logprobs),
    })),
    usage: usageOf([answer]),
    ...(answer.prompt_logprobs === undefined
      ? {}
      : { prompt_logprobs: promptLogprobs(tokenizer, answer.prompt_logprobs) }),
  };
}
