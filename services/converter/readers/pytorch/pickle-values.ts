/**
 * What a torch pickle can hold once it is read: plain data and descriptions of tensors, nothing that can do anything.
 */
import type { ElementType } from './element-types.ts';

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleRecord
  | TorchStorage
  | TorchTensor;

export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

export class PickleList {
  readonly items: PickleValue[] = [];
}

/** dict and OrderedDict. Entries as they were set: of two with one key the later counts. */
export class PickleDict {
  readonly entries: (readonly [key: PickleValue, value: PickleValue])[] = [];
}

/** A name from the list of those that are known; what it means is decided where it is used. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** An object of a class that only describes: what it was made with and what was set in it. */
export class PickleRecord {
  readonly name: string;
  readonly states: PickleValue[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

export interface StorageSpec {
  /** Names its bytes in the file; several tensors can share one. */
  readonly key: string;
  /** undefined: untyped, counted in bytes. */
  readonly type: ElementType | undefined;
  /** Elements in the stored whole, of which a view uses a part. */
  readonly count: number;
  /** Where this storage begins in the stored whole (legacy views), in elements; and how many it has. */
  readonly viewOffset: number;
  readonly viewCount: number;
}

export class TorchStorage {
  readonly spec: StorageSpec;

  constructor(spec: StorageSpec) {
    this.spec = spec;
  }
}

export interface TensorSpec {
  readonly storageKey: string;
  /** Of the stored whole. */
  readonly storageBytes: number;
  readonly type: ElementType;
  /** All three in elements; checked to lie inside the storage. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Of what this is a piece; undefined: it is whole. */
  readonly piece?: Piece;
}

/** Several ranks hold a tensor's pieces, cut along one axis. */
export interface Piece {
  readonly axis: number;
  /** Which of the pieces, from 0. */
  readonly index: number;
  /** Of the whole. */
  readonly shape: readonly number[];
}

export class TorchTensor {
  readonly spec: TensorSpec;

  constructor(spec: TensorSpec) {
    this.spec = spec;
  }
}
