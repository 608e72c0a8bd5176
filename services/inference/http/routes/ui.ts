/**
 * `GET /ui` and the files below it: the playground, as its build left it in a folder. Until it is there, a page that says why and looks
 * again by itself. Knows nothing of what the page does; it asks for no key, because the page itself asks the user.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDead } from '@slipway/shared/bucket/owner.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Route } from '../service-parts.ts';

export const PLAYGROUND = fileURLToPath(new URL('../../../../apps/playground/dist', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** No name begins with a dot and none holds a percent sign, so that no path leads out of the folder. */
const PATH = /^\/ui\/((?:[\w-][\w.-]*\/)*[\w-][\w.-]*)$/;
/** The bundler puts a hash of the content into these names. */
const HASHED = /^assets\//;

const LOOK_AGAIN_SECONDS = 2;

/** `folder` and the staging folders of builds beside it. */
export function uiRoute(folder: string): Route {
  return async (context) => {
    const { path } = context.req;
    const name = path === '/ui' || path === '/ui/' ? 'index.html' : PATH.exec(path)?.[1];
    const type = TYPES[extname(name ?? '')];
    const content = name === undefined || type === undefined ? undefined : await readIfThere(join(folder, name));
    if (content !== undefined && type !== undefined) {
      const caching = name !== undefined && HASHED.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache';
      return context.body(content, 200, { 'Content-Type': type, 'Cache-Control': caching });
    }
    if (name !== 'index.html') throw new AppError('not_found', `${path} does not exist; the playground is at /ui`);
    return context.body(missingPage(await isBeingBuilt(folder)), 503, {
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': 'no-store',
      'Retry-After': String(LOOK_AGAIN_SECONDS),
    });
  };
}

async function readIfThere(file: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(String(error.code)))
      return undefined;
    throw error;
  }
}

/** A build makes its files in a folder beside, named after the process that owns it. */
async function isBeingBuilt(folder: string): Promise<boolean> {
  const parent = dirname(folder);
  for (const name of await readdir(parent).catch(() => [])) {
    const owner = /^dist\.(.+)$/.exec(name)?.[1];
    if (owner === undefined) continue;
    const found = await stat(join(parent, name)).catch(() => undefined);
    if (found !== undefined && !isDead(owner, found.mtimeMs, Date.now())) return true;
  }
  return false;
}

function missingPage(building: boolean): string {
  const text = building
    ? '<p>The playground is being built, which takes a few seconds. This page looks again by itself.</p>'
    : `<p>The playground is not built yet. <code>./slipway up</code> and <code>./slipway serve</code> build it when they start and vite is
installed; by hand it is</p>
<pre>npm ci
npm run build -w apps/playground</pre>
<p>in the folder that Slipway lies in. This page looks again by itself.</p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="${LOOK_AGAIN_SECONDS}">
<title>Slipway</title>
</head>
<body>
<h1>Slipway</h1>
${text}
</body>
</html>
`;
}
