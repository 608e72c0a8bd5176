import { describe, expect, it } from 'vitest';
import { parseS3Address } from './address.ts';

describe('parseS3Address', () => {
  it.each([
    ['s3://models', {}, { bucket: 'models', prefix: '', endpoint: undefined, region: 'us-east-1' }],
    ['s3://models/', { AWS_REGION: 'eu-west-3' }, { bucket: 'models', prefix: '', region: 'eu-west-3' }],
    ['s3://models/a%20b/c/', {}, { prefix: 'a b/c/', location: 's3://models/a b/c' }],
    [
      's3://models/x?endpoint=http://host:9000&region=here',
      { AWS_ENDPOINT_URL: 'http://other', AWS_REGION: 'there' },
      { endpoint: 'http://host:9000', region: 'here', location: 's3://models/x at http://host:9000' },
    ],
    ['s3://models', { AWS_ENDPOINT_URL: 'http://a', AWS_ENDPOINT_URL_S3: 'http://b' }, { endpoint: 'http://b' }],
  ])('reads %s', (address, environment, expected) => {
    expect(parseS3Address(address, environment)).toMatchObject(expected);
  });

  it.each([
    ['s3://', 'no bucket'],
    ['s3://b', 'no bucket'],
    ['s3://KEY:hidden@models', 'holds credentials'],
    ['s3://models?endpoint=host', 'no http or https URL'],
    ['s3://models?endpoint=http://KEY:hidden@host', 'endpoint with credentials'],
    ['s3://models?secret=hidden', '"secret"'],
    ['s3://models/%2e%2e%2fother', 'no path'],
    ['s3://models/%', 'no path'],
  ])('refuses %s, and repeats no secret', (address, message) => {
    const refusal = expect(() => parseS3Address(address, {}));
    refusal.toThrow(expect.objectContaining({ code: 'invalid_field', message: expect.stringContaining(message) }));
    refusal.toThrow(/^(?!.*hidden)/s);
  });
});
