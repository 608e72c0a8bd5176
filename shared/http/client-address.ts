/**
 * Which client a request comes from, as far as that can be believed. Pure. Knows nothing of what is done with it.
 */
import { isIP, isIPv4 } from 'node:net';

/** Each proxy adds at the end whom it was asked by; what stands before the entries of our own proxies anybody may have written. */
export function clientAddress(socketAddress: string, forwardedFor: string | undefined, proxies: number): string {
  // Only the end counts, and a header may be long.
  const entries = (forwardedFor ?? '').split(',').slice(-proxies);
  const chain = [...(proxies === 0 ? [] : entries), socketAddress]
    .map(withoutPort)
    .filter((entry) => isIP(entry) !== 0);
  return sharedBy(chain.at(-1 - proxies) ?? chain[0] ?? 'unknown');
}

/** Some proxies write `1.2.3.4:5678` and `[::1]:5678`. */
function withoutPort(entry: string): string {
  const text = entry.trim();
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(text)?.[1];
  return bracketed ?? text.replace(/^([\d.]+):\d+$/, '$1');
}

/** One client has a whole /64 of IPv6 addresses at least, so that only the first half tells clients apart. */
function sharedBy(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  // An IPv4 address at the end stands for two groups.
  const missing = 8 - before.length - after.length - (address.includes('.') ? 1 : 0);
  const groups = tail === undefined ? before : [...before, ...Array<string>(missing).fill('0'), ...after];
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
