/** Writes small safetensors files for tests, true ones and lying ones. */

export interface SafetensorSpec {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A true file. */
export function safetensorsBytes(tensors: Readonly<Record<string, SafetensorSpec>>): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.length] };
    offset += data.length;
    parts.push(data);
  }
  return withHeader(JSON.stringify(header), Buffer.concat(parts));
}

/** Any header over any data; `claimed` is a lie about the header's length. */
export function withHeader(header: string | Uint8Array, data: Uint8Array, claimed?: bigint): Buffer {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(bytes.length));
  return Buffer.concat([length, bytes, data]);
}
