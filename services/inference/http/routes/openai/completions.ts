/**
 * `POST /v1/completions`: continues one or many prompts, as one JSON answer or a stream. Knows how an answer is told; leaves what its
 * fields mean to the plan.
 */
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import {
  type Completion,
  type CompletionChoice,
  CompletionRequest,
} from '@slipway/shared/contracts/openai/completion.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import { EventStream } from '@slipway/shared/http/event-stream.ts';
import { openAiError } from '@slipway/shared/http/openai-error.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { tellWarnings } from '@slipway/shared/http/warnings.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Context } from 'hono';
import type { Generation } from '../../../generation/generate.ts';
import type { LoadedModel } from '../../../generation/loaded-model.ts';
import { bestOutputs, CompletionChoiceWriter } from '../../openai/completion-choice.ts';
import { type CompletionPlan, planCompletion } from '../../openai/completion-plan.ts';
import { usageOf } from '../../openai/token-usage.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { summaryOf, type Visit, visited } from '../../visit.ts';

export function completionsRoute(parts: ServiceParts): Route {
  return visited(parts, async (visit, context) => {
    const begun = await begin(visit, context, parts);
    const running = visit.runAll(begun.generations, begun.together);
    const { events } = begun;
    if (events === undefined) {
      const answers = await running;
      visit.log(summaryOfAll(answers));
      return context.json(wholeAnswer(begun, answers));
    }
    return visit.stream(events, begun.started, running, {
      done(answers) {
        if (begun.includeUsage)
          events.send({ ...begun.envelope, choices: [], usage: usageOf(answers) } satisfies Completion);
        events.sendDone();
      },
      failed: (error) => events.send(openAiError(error, visit.requestId)),
      summary: summaryOfAll,
    });
  });
}

interface Begun {
  readonly model: LoadedModel;
  readonly plan: CompletionPlan;
  readonly envelope: Omit<Completion, 'choices' | 'usage'>;
  readonly generations: readonly Generation[];
  /** Ends them all. */
  readonly together: AbortController;
  /** When a stream was asked for. */
  readonly events: EventStream | undefined;
  readonly includeUsage: boolean;
  readonly started: Promise<void>;
}

/** From the bytes to what waits for its turn. */
async function begin(visit: Visit, context: Context<RequestEnvironment>, { config }: ServiceParts): Promise<Begun> {
  const { request, warnings } = parseOpenAiRequest(CompletionRequest, await visit.body());
  const model = await visit.model(request.model);
  const told = [...warnings];
  const plan = planCompletion(request, model, config, (warning) => told.push(warning));
  tellWarnings(context, told);
  const envelope = {
    id: newId('cmpl'),
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: model.name,
    system_fingerprint: model.fingerprint,
  } as const;
  const includeUsage = request.stream_options?.include_usage === true;
  const events = request.stream ? new EventStream() : undefined;
  const started = Promise.withResolvers<void>();
  const send = (choice: CompletionChoice) =>
    events?.send({ ...envelope, choices: [choice], ...(includeUsage ? { usage: null } : {}) } satisfies Completion);
  const together = new AbortController();
  const signal = AbortSignal.any([visit.signal, together.signal]);
  const generations = plan.prompts.map((prompt, promptIndex) => {
    const id = `${envelope.id}-${promptIndex}`;
    if (events === undefined) return visit.generation(model, { id, request: prompt.request, signal });
    const writers = writersOf(plan, promptIndex, model);
    const tellPrompt = (entries: Parameters<CompletionChoiceWriter['prompt']>[0]) => {
      for (const writer of writers) {
        const choice = writer.prompt(entries);
        if (choice !== undefined) send(choice);
      }
    };
    const waitsForPrompt = prompt.request.prompt_logprobs !== undefined;
    return visit.generation(model, {
      id,
      request: prompt.request,
      signal,
      onStart() {
        started.resolve();
        if (!waitsForPrompt) tellPrompt([]);
      },
      onPrompt: tellPrompt,
      onDelta(output) {
        const choice = writers[output.index]?.added(output);
        if (choice !== undefined && saysSomething(choice)) send(choice);
      },
    });
  });
  return { model, plan, envelope, generations, together, events, includeUsage, started: started.promise };
}

function saysSomething({ text, finish_reason, logprobs }: CompletionChoice): boolean {
  return text !== '' || finish_reason !== null || logprobs !== null;
}

function writersOf(plan: CompletionPlan, promptIndex: number, model: LoadedModel): CompletionChoiceWriter[] {
  const prompt = plan.prompts[promptIndex];
  if (prompt === undefined) return [];
  const first = promptIndex * plan.choices;
  return Array.from({ length: plan.choices }, (_, n) => new CompletionChoiceWriter(first + n, plan, prompt, model));
}

function wholeAnswer({ plan, model, envelope }: Begun, answers: readonly GenerateAnswer[]): Completion {
  const choices = answers.flatMap((answer, promptIndex) => {
    const outputs = bestOutputs(answer.outputs, plan.choices);
    return writersOf(plan, promptIndex, model).flatMap((writer, index) => {
      const output = outputs[index];
      return output === undefined ? [] : [writer.whole(answer, output)];
    });
  });
  return { ...envelope, choices, usage: usageOf(answers) };
}

function summaryOfAll(answers: readonly GenerateAnswer[]): Record<string, unknown> {
  const [first] = answers;
  if (first === undefined || answers.length === 1) return first === undefined ? {} : summaryOf(first);
  const { prompt_tokens, completion_tokens } = usageOf(answers);
  return { model: first.model, prompts: answers.length, prompt_tokens, completion_tokens };
}
