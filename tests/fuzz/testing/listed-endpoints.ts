/**
 * The endpoints that a running service names on its front page, so that a test of all of them needs no list of its own.
 */
export interface Endpoint {
  readonly method: string;
  /** `{id}` stands for one part of it. */
  readonly path: string;
}

export async function listedEndpoints(url: string): Promise<readonly Endpoint[]> {
  const front: unknown = await (await fetch(url)).json();
  const listed: readonly { readonly method: string; readonly url: string }[] = Reflect.get(Object(front), 'endpoints');
  return listed.map((endpoint) => ({ method: endpoint.method, path: endpoint.url.slice(url.length) }));
}
