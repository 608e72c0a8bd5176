/**
 * Runs a graph of the usual decoder interface (past_key_values in, present out) in plain onnxruntime-node, knowing nothing of who made it:
 * names and shapes are read from the graph itself.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';

export class StandardGraph {
  readonly #session: InferenceSession;
  #past: Record<string, Tensor> = {};
  #length = 0;

  private constructor(session: InferenceSession) {
    this.#session = session;
    for (const input of session.inputMetadata) {
      if (!input.name.startsWith('past_key_values.') || !input.isTensor) continue;
      const [, heads, , width] = input.shape;
      this.#past[input.name] = new Tensor('float32', new Float32Array(0), [1, Number(heads), 0, Number(width)]);
    }
  }

  static async open(path: string): Promise<StandardGraph> {
    return new StandardGraph(await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 }));
  }

  /** Continues the sequence by `tokens`; the logits of each. */
  async run(tokens: readonly number[]): Promise<Float32Array[]> {
    const total = this.#length + tokens.length;
    const row = (values: readonly number[]) =>
      new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    const feeds: Record<string, Tensor> = {
      input_ids: row(tokens),
      attention_mask: row(new Array<number>(total).fill(1)),
      ...this.#past,
    };
    if (this.#session.inputNames.includes('position_ids')) {
      feeds.position_ids = row(tokens.map((_, index) => this.#length + index));
    }
    const results = await this.#session.run(feeds);
    for (const [name, value] of Object.entries(results)) {
      if (name.startsWith('present.')) this.#past[name.replace('present', 'past_key_values')] = value;
    }
    this.#length = total;
    const logits = results.logits;
    if (!(logits?.data instanceof Float32Array)) throw new Error('the graph gave no float32 logits');
    const vocabulary = logits.dims.at(-1) ?? 0;
    const { data } = logits;
    return tokens.map((_, index) => data.slice(index * vocabulary, (index + 1) * vocabulary));
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
