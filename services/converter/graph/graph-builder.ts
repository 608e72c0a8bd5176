/**
 * Collects nodes, constants and weights into a Model. Knows ONNX's naming rules; knows no model and no precision.
 */
import {
  type Attribute,
  type DataType,
  type ExternalTensor,
  encodeModel,
  type InlineTensor,
  type Node,
  type Value,
} from './onnx-model.ts';

export const MS = 'com.microsoft';

export class GraphBuilder {
  /** Whether integer products get their weights as uint8 around 128 instead of int8. */
  readonly unsignedWeights: boolean;
  #nodes: Node[] = [];
  readonly #inline = new Map<string, InlineTensor>();
  readonly #external = new Map<string, ExternalTensor>();
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #names = new Set<string>();

  constructor({ unsignedWeights = false } = {}) {
    this.unsignedWeights = unsignedWeights;
  }

  input(name: string, type: DataType, shape: Value['shape']): string {
    this.#inputs.push({ name, type, shape });
    return name;
  }

  output(name: string, type: DataType, shape: Value['shape']): void {
    this.#outputs.push({ name, type, shape });
  }

  /** A tensor of the weights file; the same one may be used by many nodes. Gives its name, which no node's result can have. */
  weight(tensor: ExternalTensor): string {
    const name = `weights:${tensor.name}`;
    this.#external.set(name, { ...tensor, name });
    return name;
  }

  /** int64 values, kept in the graph itself. A scalar when `values` is a number. Equal constants are kept once. */
  int64(values: number | readonly number[]): string {
    const list = typeof values === 'number' ? [values] : values;
    const shape = typeof values === 'number' ? [] : [list.length];
    return this.#constant(
      'int64',
      shape,
      new Uint8Array(BigInt64Array.from(list, BigInt).buffer),
      `${shape}_${list.join('_')}`,
    );
  }

  float(value: number): string {
    return this.#constant('float32', [], new Uint8Array(Float32Array.of(value).buffer), String(value));
  }

  /** A float32 vector, kept in the graph itself. */
  floats(name: string, values: Float32Array): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return this.#constant('float32', [values.length], bytes, name);
  }

  uint8(value: number): string {
    return this.#constant('uint8', [], Uint8Array.of(value), String(value));
  }

  /** Adds a node with one result and gives that result's name, unique in the graph and told by `name`. */
  node(
    op: string,
    inputs: readonly string[],
    name: string,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    return this.nodes(op, inputs, [name], attributes, domain)[0] ?? name;
  }

  /** As `node`, for several results; an empty name leaves an optional result out. */
  nodes(
    op: string,
    inputs: readonly string[],
    names: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string[] {
    const outputs = names.map((name) => (name === '' ? '' : this.#unique(name)));
    this.#nodes.push({ op, domain, name: `${outputs[0]}:${op}`, inputs, outputs, attributes });
    return outputs;
  }

  /**
   * One of two branches, chosen at run time by `condition` (bool). Both give the same `results`; a branch adds its nodes and returns
   * its results' names in that order. Gives the names under which the chosen branch's results go on.
   */
  branch(
    condition: string,
    name: string,
    results: readonly Value[],
    yes: () => string[],
    no: () => string[],
  ): string[] {
    const collect = (kind: string, make: () => string[]) => {
      const outer = this.#nodes;
      this.#nodes = [];
      try {
        const outputs = make().map((output, index): Value => {
          const result = results[index];
          if (!result) throw new Error(`the branch ${name}.${kind} gives more results than it promises`);
          return { ...result, name: output };
        });
        return { graph: { name: `${name}.${kind}`, nodes: this.#nodes, outputs } };
      } finally {
        this.#nodes = outer;
      }
    };
    const attributes = { then_branch: collect('then', yes), else_branch: collect('else', no) };
    return this.nodes(
      'If',
      [condition],
      results.map((result) => result.name),
      attributes,
    );
  }

  /** The .onnx file; `weights` is where it looks for its external data. */
  encode(name: string, weights: string): Uint8Array {
    return encodeModel({
      name,
      inputs: this.#inputs,
      outputs: this.#outputs,
      nodes: this.#nodes,
      inline: [...this.#inline.values()],
      external: [...this.#external.values()],
      weights,
    });
  }

  #unique(name: string): string {
    let unique = name;
    for (let count = 2; this.#names.has(unique); count++) unique = `${name}_${count}`;
    this.#names.add(unique);
    return unique;
  }

  #constant(type: DataType, shape: readonly number[], data: Uint8Array, key: string): string {
    const name = `constant_${type}_${key}`;
    this.#inline.set(name, { name, type, shape, data });
    return name;
  }
}
