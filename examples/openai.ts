/** The npm package openai, pointed at Slipway: what is served, then an answer as it comes. */
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.SLIPWAY_URL || 'http://127.0.0.1:8080'}/v1`,
  // The package insists on a key; a service without keys does not look at it.
  apiKey: process.env.SLIPWAY_API_KEY || 'none',
});
const prompt = process.argv[2] ?? 'ROMEO:';

const { data: models } = await client.models.list();
const [model] = models;
if (model === undefined) throw new Error('nothing is served');
console.log(`${model.id}:`);

const stream = await client.completions.create({
  model: model.id,
  prompt,
  max_tokens: 40,
  temperature: 0,
  stream: true,
  stream_options: { include_usage: true },
});
process.stdout.write(prompt);
for await (const { choices, usage } of stream) {
  process.stdout.write(choices[0]?.text ?? '');
  if (usage) console.log(`\n(${usage.completion_tokens} tokens)`);
}
