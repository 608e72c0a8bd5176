/** Whose address a request counts for: behind proxies, and when a client writes the header itself. */
import { describe, expect, it } from 'vitest';
import { clientAddress } from './client-address.ts';

describe('the address of a client', () => {
  it.each([
    ["no proxy: the socket's, whatever is claimed", '9.9.9.9', '1.1.1.1', 0, '9.9.9.9'],
    ['one proxy: what it added', '10.0.0.1', '1.1.1.1', 1, '1.1.1.1'],
    ['one proxy, and a client that writes the header', '10.0.0.1', '6.6.6.6, 7.7.7.7, 1.1.1.1', 1, '1.1.1.1'],
    ['two proxies', '10.0.0.1', '6.6.6.6, 1.1.1.1, 10.0.0.2', 2, '1.1.1.1'],
    ['fewer entries than proxies: the first', '10.0.0.1', '1.1.1.1', 3, '1.1.1.1'],
    ['a proxy that adds nothing', '10.0.0.1', undefined, 1, '10.0.0.1'],
    ['nonsense', '10.0.0.1', 'unknown, <script>', 1, '10.0.0.1'],
    ['a port', '10.0.0.1', '1.1.1.1:4711', 1, '1.1.1.1'],
    ['a port of IPv6', '10.0.0.1', '[2001:db8::1]:4711', 1, '2001:db8:0:0::/64'],
    ['IPv4 in IPv6', '::ffff:9.9.9.9', undefined, 0, '9.9.9.9'],
    ['no socket any more', '', '1.1.1.1', 0, 'unknown'],
  ])('%s', (_, socket, header, proxies, expected) => {
    expect(clientAddress(socket, header, proxies)).toBe(expected);
  });

  it.each([
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1:2:3::', '1:2:3:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['64:ff9b::1.2.3.4', '64:ff9b:0:0::/64'],
  ])('%s counts with its network %s', (address, network) => {
    expect(clientAddress(address, undefined, 0)).toBe(network);
  });
});
