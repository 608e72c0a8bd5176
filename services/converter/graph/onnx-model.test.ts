import protobuf from 'protobufjs';
import { expect, it } from 'vitest';
import { encodeModel, type Model } from './onnx-model.ts';

/** The messages of onnx.proto3 that a decoder graph uses, from the specification. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated int64 ints = 8; int32 type = 20; }
  message NodeProto {
    repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated AttributeProto attribute = 5; string domain = 7;
  }
  message StringStringEntryProto { string key = 1; string value = 2; }
  message TensorProto {
    repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
    repeated StringStringEntryProto external_data = 13; int32 data_location = 14;
  }
  message Dimension { int64 dim_value = 1; string dim_param = 2; }
  message TensorShapeProto { repeated Dimension dim = 1; }
  message TensorType { int32 elem_type = 1; TensorShapeProto shape = 2; }
  message TypeProto { TensorType tensor_type = 1; }
  message ValueInfoProto { string name = 1; TypeProto type = 2; }
  message GraphProto {
    repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
    repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
  }
  message OperatorSetIdProto { string domain = 1; int64 version = 2; }
  message ModelProto {
    int64 ir_version = 1; string producer_name = 2; GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8;
  }
`);
const modelProto = root.lookupType('ModelProto');

const model: Model = {
  name: 'small',
  inputs: [{ name: 'x', type: 'float32', shape: ['batch', 4] }],
  outputs: [{ name: 'y', type: 'int8', shape: [1] }],
  nodes: [
    {
      op: 'Odd',
      domain: 'com.microsoft',
      name: 'odd',
      inputs: ['x', '', 'w'],
      outputs: ['y'],
      attributes: { whole: -3, broken: { float: 0.5 }, list: [1, -2], word: 'ü' },
    },
    { op: 'Plain', domain: '', name: 'plain', inputs: [], outputs: ['z'], attributes: {} },
  ],
  inline: [{ name: 'c', type: 'int64', shape: [], data: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }],
  // Beyond 4 GiB: an offset must not be cut to 32 bits.
  external: [{ name: 'w', type: 'float16', shape: [2, 3], offset: 2 ** 33, length: 12 }],
  weights: 'model.onnx_data',
};

it('is what the ONNX specification reads', () => {
  const decoded = modelProto.toObject(modelProto.decode(encodeModel(model)), { longs: Number, bytes: Array });
  expect(decoded).toEqual({
    irVersion: 10,
    producerName: 'slipway',
    // The default domain is the empty name: protobufjs leaves empty fields out.
    opsetImport: [{ version: 21 }, { domain: 'com.microsoft', version: 1 }],
    graph: {
      name: 'small',
      node: [
        {
          opType: 'Odd',
          domain: 'com.microsoft',
          name: 'odd',
          input: ['x', '', 'w'],
          output: ['y'],
          attribute: [
            { name: 'whole', i: -3, type: 2 },
            { name: 'broken', f: 0.5, type: 1 },
            { name: 'list', ints: [1, -2], type: 7 },
            { name: 'word', s: [...Buffer.from('ü')], type: 3 },
          ],
        },
        { opType: 'Plain', name: 'plain', output: ['z'] },
      ],
      initializer: [
        { dataType: 7, name: 'c', rawData: [1, 0, 0, 0, 0, 0, 0, 0] },
        {
          dims: [2, 3],
          dataType: 10,
          name: 'w',
          externalData: [
            { key: 'location', value: 'model.onnx_data' },
            { key: 'offset', value: '8589934592' },
            { key: 'length', value: '12' },
          ],
          dataLocation: 1,
        },
      ],
      input: [
        { name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'batch' }, { dimValue: 4 }] } } } },
      ],
      output: [{ name: 'y', type: { tensorType: { elemType: 3, shape: { dim: [{ dimValue: 1 }] } } } }],
    },
  });
});
