/** Whether an address is a URL, told by its spelling; anything else is a path. */
export function isUrl(address: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(address);
}
