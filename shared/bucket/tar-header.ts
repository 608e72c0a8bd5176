/**
 * The 512 bytes before a file in a tar archive (POSIX ustar; GNU's binary numbers for sizes from 8 GiB on). Pure.
 */
import { AppError } from '../contracts/errors.ts';

export const TAR_BLOCK = 512;
const NAME = 100;
const PREFIX = 155;
const MOST_OCTAL = 8 ** 11;

/** `path`: ASCII or UTF-8, at most 255 bytes with a slash near enough to its end. AppError invalid_field when it does not fit. */
export function tarHeader(path: string, bytes: number, modified: Date): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  const { name, prefix } = splitPath(path);
  header.write(name, 0);
  octal(header, 100, 8, 0o644);
  octal(header, 108, 8, 0);
  octal(header, 116, 8, 0);
  if (bytes < MOST_OCTAL) octal(header, 124, 12, bytes);
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(bytes), 128);
  }
  octal(header, 136, 12, Math.floor(modified.getTime() / 1000));
  header.write('0', 156);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(prefix, 345);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function octal(header: Buffer, at: number, width: number, value: number): void {
  header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
}

function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= NAME) return { name: path, prefix: '' };
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (Buffer.byteLength(name) <= NAME && Buffer.byteLength(prefix) <= PREFIX) return { name, prefix };
  }
  throw new AppError('invalid_field', `${path} is too long a name for a tar file; export to a folder`);
}
