import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBucket } from './open-bucket.ts';

describe('openBucket', () => {
  it.each([
    ['some/folder', resolve('some/folder')],
    ['/absolute/folder', '/absolute/folder'],
    ['file:///absolute/a%20folder', '/absolute/a folder'],
    ['~/models', join(homedir(), 'models')],
    ['C:\\models', resolve('C:\\models')],
  ])('opens %s as a folder', (address, location) => expect(openBucket(address).location).toBe(location));

  it.each([
    ['s3://', 'no bucket'],
    ['ftp://host/folder', 'ftp://'],
    ['file://host/folder', 'file URL'],
    ['  ', 'empty'],
  ])('refuses %s', (address, message) => {
    expect(() => openBucket(address)).toThrow(
      expect.objectContaining({ code: 'invalid_field', message: expect.stringContaining(message) }),
    );
  });
});
