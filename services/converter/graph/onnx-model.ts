/**
 * The ONNX file format: plain data in, protobuf bytes out (onnx.proto3, the messages and fields a decoder graph uses).
 * Knows no operator and no model. Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */
import protobuf from 'protobufjs/minimal.js';

export const DATA_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type DataType = keyof typeof DATA_TYPES;

export type Attribute = number | { readonly float: number } | { readonly graph: Subgraph } | readonly number[] | string;

/** A branch of an If: it has no inputs of its own but sees every name of the graph around it. */
export interface Subgraph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly outputs: readonly Value[];
}

export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** A bare number is an integer; floats are `{ float }`. */
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A named dimension stays open; a number is fixed. */
export interface Value {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly (string | number)[];
}

export interface ExternalTensor {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
  /** Bytes from the start of the weights file. */
  readonly offset: number;
  readonly length: number;
}

export interface InlineTensor {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export interface Model {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly inline: readonly InlineTensor[];
  readonly external: readonly ExternalTensor[];
  /** Where external tensors lie, relative to the graph's own folder. */
  readonly weights: string;
}

const IR_VERSION = 10;
const OPSETS = [
  ['', 21],
  ['com.microsoft', 1],
] as const;

type Writer = protobuf.Writer;

/** A length-delimited field holding what `write` writes. */
function message(writer: Writer, field: number, write: (inner: Writer) => void): void {
  write(writer.uint32((field << 3) | 2).fork());
  writer.ldelim();
}

function text(writer: Writer, field: number, value: string): void {
  writer.uint32((field << 3) | 2).string(value);
}

function integer(writer: Writer, field: number, value: number): void {
  writer.uint32(field << 3).int64(value);
}

function attribute(writer: Writer, name: string, value: Attribute): void {
  const kind = { float: 1, int: 2, string: 3, graph: 5, ints: 7 };
  text(writer, 1, name);
  if (typeof value === 'number') {
    integer(writer, 3, value);
    integer(writer, 20, kind.int);
  } else if (typeof value === 'string') {
    writer.uint32((4 << 3) | 2).bytes(Buffer.from(value));
    integer(writer, 20, kind.string);
  } else if ('graph' in value) {
    message(writer, 6, (inner) => subgraph(inner, value.graph));
    integer(writer, 20, kind.graph);
  } else if ('float' in value) {
    writer.uint32((2 << 3) | 5).float(value.float);
    integer(writer, 20, kind.float);
  } else {
    for (const entry of value) integer(writer, 8, entry);
    integer(writer, 20, kind.ints);
  }
}

function subgraph(writer: Writer, value: Subgraph): void {
  for (const inner of value.nodes) message(writer, 1, (field) => node(field, inner));
  text(writer, 2, value.name);
  for (const output of value.outputs) message(writer, 12, (field) => valueInfo(field, output));
}

function node(writer: Writer, value: Node): void {
  for (const name of value.inputs) text(writer, 1, name);
  for (const name of value.outputs) text(writer, 2, name);
  text(writer, 3, value.name);
  text(writer, 4, value.op);
  for (const [name, setting] of Object.entries(value.attributes))
    message(writer, 5, (inner) => attribute(inner, name, setting));
  if (value.domain) text(writer, 7, value.domain);
}

function tensorHead(writer: Writer, value: { name: string; type: DataType; shape: readonly number[] }): void {
  for (const size of value.shape) integer(writer, 1, size);
  integer(writer, 2, DATA_TYPES[value.type]);
  text(writer, 8, value.name);
}

function external(writer: Writer, value: ExternalTensor, weights: string): void {
  tensorHead(writer, value);
  const entries = { location: weights, offset: String(value.offset), length: String(value.length) };
  for (const [key, entry] of Object.entries(entries)) {
    message(writer, 13, (inner) => {
      text(inner, 1, key);
      text(inner, 2, entry);
    });
  }
  integer(writer, 14, 1);
}

function valueInfo(writer: Writer, value: Value): void {
  text(writer, 1, value.name);
  message(writer, 2, (type) =>
    message(type, 1, (tensor) => {
      integer(tensor, 1, DATA_TYPES[value.type]);
      message(tensor, 2, (shape) => {
        for (const size of value.shape) {
          message(shape, 1, (dimension) =>
            typeof size === 'number' ? integer(dimension, 1, size) : text(dimension, 2, size),
          );
        }
      });
    }),
  );
}

/** The bytes of an .onnx file. */
export function encodeModel(model: Model): Uint8Array {
  const writer = protobuf.Writer.create();
  integer(writer, 1, IR_VERSION);
  text(writer, 2, 'slipway');
  message(writer, 7, (graph) => {
    for (const value of model.nodes) message(graph, 1, (inner) => node(inner, value));
    text(graph, 2, model.name);
    for (const value of model.inline) {
      message(graph, 5, (inner) => {
        tensorHead(inner, value);
        inner.uint32((9 << 3) | 2).bytes(value.data);
      });
    }
    for (const value of model.external) message(graph, 5, (inner) => external(inner, value, model.weights));
    for (const value of model.inputs) message(graph, 11, (inner) => valueInfo(inner, value));
    for (const value of model.outputs) message(graph, 12, (inner) => valueInfo(inner, value));
  });
  for (const [domain, version] of OPSETS) {
    message(writer, 8, (opset) => {
      text(opset, 1, domain);
      integer(opset, 2, version);
    });
  }
  return writer.finish();
}
