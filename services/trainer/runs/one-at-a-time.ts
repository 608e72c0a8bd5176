/**
 * Work of the same name is done one after the other in this process: who asks something of a run looks at it first, and nobody may change it
 * between the look and the deed. Knows nothing of what is done.
 */

/** Name -> settles with the last that was asked for. */
const lasts = new Map<string, Promise<void>>();

export async function oneAtATime<Done>(name: string, work: () => Promise<Done>): Promise<Done> {
  const done = (lasts.get(name) ?? Promise.resolve()).then(work);
  const last = done.then(
    () => {},
    () => {},
  );
  lasts.set(name, last);
  try {
    return await done;
  } finally {
    if (lasts.get(name) === last) lasts.delete(name);
  }
}
