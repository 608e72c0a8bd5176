/** Writes zip files for tests, true ones and lying ones. Knows the layout (PKWARE APPNOTE), not the reader. */
import { u32, u64 } from '../../testing/gguf-bytes.ts';

export interface ZipSpec {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  readonly encrypted?: boolean;
  /** Sizes and header as 64-bit numbers in the extra field, as torch writes them for what is large. */
  readonly zip64?: boolean;
  /** Bytes of extra field in the local header: torch aligns storages so. */
  readonly padding?: number;
  /** Lies, when given. */
  readonly size?: number;
  readonly packed?: number;
  readonly header?: number;
  readonly localName?: string;
  readonly localPadding?: number;
}

export interface ZipLies {
  readonly count?: number;
  readonly directoryBytes?: number;
  readonly directoryStart?: number;
}

const u16 = (value: number) => u32(value).subarray(0, 2);

export function zipBytes(entries: readonly ZipSpec[], lies: ZipLies = {}): Buffer {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const entry of entries) {
    const { name, data, method = 0, zip64 = false, padding = 0 } = entry;
    const local = Buffer.from(entry.localName ?? name);
    const flags = u16(entry.encrypted ? 1 : 0);
    const size = entry.size ?? data.length;
    const packed = entry.packed ?? size;
    const header = Buffer.concat([
      u32(0x04034b50),
      u16(20),
      flags,
      u16(method),
      Buffer.alloc(8),
      u32(packed),
      u32(size),
      u16(local.length),
      u16(entry.localPadding ?? padding),
      local,
      Buffer.alloc(padding),
    ]);
    const [sizes, extra] = zip64
      ? [
          [0xffffffff, 0xffffffff, 0xffffffff],
          Buffer.concat([u16(1), u16(24), u64(size), u64(packed), u64(entry.header ?? at)]),
        ]
      : [[packed, size, entry.header ?? at], Buffer.alloc(0)];
    directory.push(
      u32(0x02014b50),
      u16(20),
      u16(20),
      flags,
      u16(method),
      Buffer.alloc(8),
      u32(sizes[0] ?? 0),
      u32(sizes[1] ?? 0),
      u16(Buffer.byteLength(name)),
      u16(extra.length),
      Buffer.alloc(10),
      u32(sizes[2] ?? 0),
      Buffer.from(name),
      extra,
    );
    parts.push(header, data);
    at += header.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.concat([
    u32(0x06054b50),
    Buffer.alloc(4),
    u16(lies.count ?? entries.length),
    u16(lies.count ?? entries.length),
    u32(lies.directoryBytes ?? listed.length),
    u32(lies.directoryStart ?? at),
    u16(0),
  ]);
  return Buffer.concat([...parts, listed, end]);
}

/** An archive as torch.save lays it out. `storages` by key. */
export function torchZip(
  pickle: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
  others: readonly ZipSpec[] = [],
): Buffer {
  return zipBytes([
    { name: 'archive/data.pkl', data: pickle },
    { name: 'archive/byteorder', data: Buffer.from('little') },
    ...Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data, padding: 13 })),
    ...others,
    { name: 'archive/version', data: Buffer.from('3\n') },
  ]);
}
