/**
 * What a service lists of its paths: for its front page, for requests that miss, and for the description of its API. Knows no path.
 */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `{name}` stands for one part of it. */
  readonly path: string;
  readonly purpose: string;
}

/** Gives the function that tells the methods that a path takes; none when there is no such path. */
export function methodsAmong(endpoints: readonly Endpoint[]): (path: string) => readonly string[] {
  const patterns = endpoints.map(({ method, path }) => ({
    method,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }));
  return (path) => patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
}
