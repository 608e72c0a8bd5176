/**
 * All the ways in which a value may be that several schemas describe together: references followed, `allOf` joined, `anyOf` and `oneOf`
 * taken one by one. Knows no grammar.
 */
import { areDisjoint } from './disjoint.ts';
import { Keywords } from './keywords.ts';
import { type LocatedSchema, type SchemaDocument, schemaRefusal } from './located-schema.ts';
import { anyShape, both, canonical, readShape, type Shape } from './shape.ts';

/** Of all values of a document together. */
const MOST_SHAPES = 2000;

const MOST_EXCLUSIVE = 200;

/** References and joined schemas within each other, with no value between. */
const DEEPEST = 50;

interface Pending {
  readonly located: LocatedSchema;
  /** The schemas it was reached from without going into a value. */
  readonly from: ReadonlySet<string>;
}

export class Expander {
  readonly #document: SchemaDocument;
  readonly #exclusive = new Set<string>();
  #shapes = 0;

  constructor(document: SchemaDocument) {
    this.#document = document;
  }

  /** None when nothing can be all of them. AppError invalid_field when one cannot be followed. */
  expand(schemas: readonly LocatedSchema[]): Shape[] {
    const pending = schemas.map((located) => ({ located, from: new Set<string>() }));
    return this.#expand(anyShape(schemas[0]?.pointer ?? '#'), pending, new Set(), 0);
  }

  #expand(from: Shape, schemas: readonly Pending[], known: ReadonlySet<string>, choices: number): Shape[] {
    let shape = from;
    const pending = [...schemas];
    const done = new Set(known);
    for (let next = pending.pop(); next; next = pending.pop()) {
      const { pointer, schema } = next.located;
      if (schema === false) return [];
      if (next.from.has(pointer)) throw schemaRefusal(pointer, 'the schema refers to itself with nothing in between');
      if (schema === true || done.has(pointer)) continue;
      done.add(pointer);
      const keywords = new Keywords(pointer, schema);
      shape = both(shape, readShape(this.#document, pointer, schema));
      const onTheWay = new Set([...next.from, pointer]);
      if (onTheWay.size > DEEPEST || choices > DEEPEST) {
        throw schemaRefusal(pointer, `$ref, allOf, anyOf and oneOf are more than ${DEEPEST} deep`);
      }
      const within = (keyword: string): Pending[] =>
        (keywords.list(keyword) ?? []).map((value, index) => ({
          located: this.#document.located(`${pointer}/${keyword}/${index}`, value),
          from: onTheWay,
        }));
      if (keywords.has('$ref')) {
        pending.push({ located: this.#document.resolve(pointer, keywords.value('$ref')), from: onTheWay });
      }
      pending.push(...within('allOf'));
      const [any, one] = [within('anyOf'), within('oneOf')];
      if (keywords.has('oneOf')) this.#requireExclusive(pointer, one);
      const options = choicesOf(keywords.has('anyOf') ? any : undefined, keywords.has('oneOf') ? one : undefined);
      if (options) return options.flatMap((option) => this.#expand(shape, [...pending, ...option], done, choices + 1));
    }
    if (++this.#shapes > MOST_SHAPES) {
      throw schemaRefusal(shape.pointer, 'anyOf and oneOf within each other leave too many ways to be; ask for fewer');
    }
    return [shape];
  }

  /** A text that two of them allow would not be valid, and a grammar cannot tell. */
  #requireExclusive(pointer: string, options: readonly Pending[]): void {
    if (this.#exclusive.has(pointer)) return;
    this.#exclusive.add(pointer);
    const shapes = options.map((option) => this.#expand(anyShape(option.located.pointer), [option], new Set(), 0));
    if (haveDistinctValues(shapes.flat())) return;
    if (shapes.flat().length > MOST_EXCLUSIVE)
      throw schemaRefusal(pointer, `oneOf has more than ${MOST_EXCLUSIVE} ways to be`);
    for (const [index, ours] of shapes.entries()) {
      for (const [otherIndex, theirs] of shapes.slice(0, index).entries()) {
        const isClear = ours.every((one) => theirs.every((other) => areDisjoint(one, other)));
        if (isClear) continue;
        throw schemaRefusal(
          pointer,
          `oneOf: a value could be both number ${otherIndex} and number ${index} (counted from 0); use anyOf, or give them a required property with different constants`,
        );
      }
    }
  }
}

/** Each way to take one of both, where there is something to choose. */
function choicesOf(any: readonly Pending[] | undefined, one: readonly Pending[] | undefined): Pending[][] | undefined {
  if (!any || !one) return (any ?? one)?.map((option) => [option]);
  return any.flatMap((option) => one.map((other) => [option, other]));
}

function haveDistinctValues(shapes: readonly Shape[]): boolean {
  const values = shapes.flatMap((shape) => shape.values ?? []).map(canonical);
  return shapes.every((shape) => shape.values !== undefined) && new Set(values).size === values.length;
}
