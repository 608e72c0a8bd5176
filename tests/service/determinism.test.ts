/** Same request, same seed, same bytes: alone or among others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ slots: 8 });
});
afterAll(() => service.close());

const outputsOf = async (body: object) => (await service.generate({ ignore_eos: true, ...body })).body.outputs;

describe('determinism', () => {
  it('repeats itself with the same seed, and not with another', async () => {
    const body = { prompt: 'again', max_new_tokens: 30, temperature: 1 };
    const first = await outputsOf({ ...body, seed: 11 });
    expect(await outputsOf({ ...body, seed: 11 })).toEqual(first);
    expect(await outputsOf({ ...body, seed: 12 })).not.toEqual(first);
  });

  it('draws a seed when none is given, and tells it', async () => {
    const body = { prompt: 'again', max_new_tokens: 30, temperature: 1, ignore_eos: true };
    const { body: first } = await service.generate(body);
    const { body: second } = await service.generate(body);
    expect(second.seed).not.toBe(first.seed);
    expect(await outputsOf({ ...body, seed: first.seed })).toEqual(first.outputs);
  });

  it('gives each sequence of a request a seed of its own, and the first the request its own', async () => {
    const body = { prompt: 'again', max_new_tokens: 30, temperature: 1, seed: 11 };
    const many = await outputsOf({ ...body, num_return_sequences: 10 });
    expect(new Set(many.map((output: { text: string }) => output.text)).size).toBe(10);
    expect(many[0]).toEqual((await outputsOf(body))[0]);
    expect(await outputsOf({ ...body, num_return_sequences: 10 })).toEqual(many);
  });

  it('is not disturbed by what else runs', async () => {
    const bodies = Array.from({ length: 24 }, (_, index) => ({
      prompt: `prompt ${'x'.repeat(index * 3)}`,
      max_new_tokens: 5 + index,
      temperature: index % 2,
      seed: index,
    }));
    const alone: unknown[] = [];
    for (const body of bodies) alone.push(await outputsOf(body));
    expect(await Promise.all(bodies.map(outputsOf))).toEqual(alone);
  });
});
