/**
 * `GET /openapi.json` and `GET /docs`: the API described, for programs and to read. Made when it is first asked for.
 */
import type { Hono } from 'hono';
import { lazyRoute } from '../lazy-route.ts';
import type { RequestEnvironment } from '../request-context.ts';
import type { OpenApi } from './openapi.ts';

export function describedRoutes(app: Hono<RequestEnvironment>, described: () => Promise<OpenApi>): void {
  const page = () => import('./docs-page.ts');
  app.get(
    '/openapi.json',
    lazyRoute(async () => {
      const text = JSON.stringify(await described());
      return (context) => context.body(text, 200, { 'Content-Type': 'application/json' });
    }),
  );
  app.get(
    '/docs',
    lazyRoute(async () => {
      const html = (await page()).docsPage(await described());
      return (context) => context.html(html);
    }),
  );
  app.get(
    '/docs/style.css',
    lazyRoute(async () => {
      const { STYLE } = await page();
      return (context) => context.body(STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' });
    }),
  );
}
