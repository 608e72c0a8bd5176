/**
 * Whether it is certain that no value is two shapes at once. Says no where it cannot tell.
 */
import { canonical, isOfType, type JsonType, type Properties, type Shape, typeOf } from './shape.ts';

export function areDisjoint(a: Shape, b: Shape): boolean {
  if (a.values && b.values) {
    const texts = new Set(b.values.map(canonical));
    return !a.values.some((value) => texts.has(canonical(value)));
  }
  const [ours, theirs] = [typesOf(a), typesOf(b)];
  if (!ours || !theirs) return false;
  const common = [...ours].filter((type) => isOfType(type, theirs) || (type === 'number' && theirs.has('integer')));
  return common.length === 0 || (common.every((type) => type === 'object') && areDisjointObjects(a, b));
}

function typesOf({ types, values }: Shape): ReadonlySet<JsonType> | undefined {
  return values ? new Set(values.map(typeOf)) : types;
}

function areDisjointObjects(a: Shape, b: Shape): boolean {
  const [ours, theirs] = [a.objects?.properties ?? [], b.objects?.properties ?? []];
  const required = (all: readonly Properties[]) => all.flatMap((one) => one.required);
  return (
    required(ours).some((name) => differs(name, ours, theirs) || isForbidden(name, theirs)) ||
    required(theirs).some((name) => isForbidden(name, ours))
  );
}

/** Both need the property, with constants of which none is common. */
function differs(name: string, ours: readonly Properties[], theirs: readonly Properties[]): boolean {
  if (!theirs.some(({ required }) => required.includes(name))) return false;
  const [a, b] = [constantsOf(name, ours), constantsOf(name, theirs)];
  if (!a || !b) return false;
  const texts = new Set(b.map(canonical));
  return !a.some((value) => texts.has(canonical(value)));
}

function constantsOf(name: string, all: readonly Properties[]): readonly unknown[] | undefined {
  for (const { named } of all) {
    const schema = named.get(name)?.schema;
    if (typeof schema !== 'object') continue;
    if (schema.const !== undefined) return [schema.const];
    if (Array.isArray(schema.enum)) return schema.enum;
  }
  return undefined;
}

function isForbidden(name: string, all: readonly Properties[]): boolean {
  return all.some(
    ({ named, byPattern, others }) =>
      named.get(name)?.schema === false || (others?.schema === false && byPattern.length === 0 && !named.has(name)),
  );
}
