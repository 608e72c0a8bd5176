/**
 * How deep in a JSON value its text is, character by character. Knows nothing else of JSON: whether it is valid is seen at its end.
 */
export class JsonDepth {
  depth = 0;
  #isString = false;
  #isEscaped = false;

  push(character: string): void {
    if (this.#isString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === '\\') this.#isEscaped = true;
      else if (character === '"') this.#isString = false;
    } else if (character === '"') this.#isString = true;
    else if (character === '{' || character === '[') this.depth++;
    else if (character === '}' || character === ']') this.depth--;
  }
}
