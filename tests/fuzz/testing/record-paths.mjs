/**
 * Loaded before a program (`node --import`): writes down every path that it gives to the file system and that holds MARKER. Knows nothing of
 * the program.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { RECORDED_MARKER: marker = '', RECORDED_PATHS: file = '' } = process.env;
const append = fs.appendFileSync;

function record(name, original) {
  return function recorded(...args) {
    for (const argument of args.slice(0, TWO_PATHS.test(name) ? 2 : 1)) {
      const path = argument instanceof URL || Buffer.isBuffer(argument) ? String(argument) : argument;
      if (typeof path === 'string' && path.includes(marker)) append(file, `${JSON.stringify({ name, path })}\n`);
    }
    return original.apply(this, args);
  };
}

const NAMES =
  /^(access|appendFile|chmod|copyFile|cp|createReadStream|createWriteStream|exists|glob|l?stat|link|mkdir|mkdtemp|open|openAsBlob|opendir|readdir|readFile|readlink|realpath|rename|rm|rmdir|statfs|symlink|truncate|unlink|utimes|watch|watchFile|writeFile)(Sync)?$/;

const TWO_PATHS = /^(copyFile|cp|link|rename|symlink)/;

for (const place of [fs, fs.promises]) {
  for (const [name, original] of Object.entries(place)) {
    if (NAMES.test(name) && typeof original === 'function') {
      place[name] = Object.assign(record(name, original), original);
    }
  }
}
syncBuiltinESMExports();
