/** Whether a source of data is a pattern of paths, told by its spelling. */
export function isPattern(source: string): boolean {
  return /[*?[\]{}]/.test(source);
}
