/**
 * A route whose code is loaded with its first request: starts are timed in milliseconds, and most services answer few of the APIs they
 * speak.
 */
import type { Route } from './request-context.ts';

export function lazyRoute(load: () => Promise<Route>): Route {
  let loading: Promise<Route> | undefined;
  return async (context, next) => {
    loading ??= load();
    const route = await loading;
    return route(context, next);
  };
}
