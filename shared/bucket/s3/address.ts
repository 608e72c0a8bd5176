/**
 * From s3://bucket/prefix?endpoint=...&region=... to what a client needs to know. Credentials are no part of an address: they come
 * from where every program of AWS takes them (environment, profile, the machine's role). Sends nothing.
 */
import { AppError } from '../../contracts/errors.ts';
import { isSafePath } from '../keys.ts';

export interface S3Address {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  readonly region: string;
  /** For people, and to tell buckets apart. */
  readonly location: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** AppError invalid_field; the message never repeats what could be a secret. */
export function parseS3Address(address: string, environment: Environment): S3Address {
  const url = URL.parse(address);
  if (url === null) throw invalid('is no URL');
  if (url.username !== '' || url.password !== '') {
    throw invalid('holds credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment instead');
  }
  if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i.test(url.host)) throw invalid('names no bucket');
  for (const name of url.searchParams.keys()) {
    if (name !== 'endpoint' && name !== 'region') throw invalid(`has "${name}"; only endpoint and region are known`);
  }
  const endpoint =
    url.searchParams.get('endpoint') || environment.AWS_ENDPOINT_URL_S3 || environment.AWS_ENDPOINT_URL || undefined;
  if (endpoint !== undefined) checkEndpoint(endpoint);
  const path = decoded(url.pathname).replace(/^\/|\/$/g, '');
  if (path !== '' && !isSafePath(path)) throw invalid('has a prefix that is no path');
  const region =
    url.searchParams.get('region') || environment.AWS_REGION || environment.AWS_DEFAULT_REGION || 'us-east-1';
  const place = `s3://${url.host}${path === '' ? '' : `/${path}`}`;
  return {
    bucket: url.host,
    prefix: path === '' ? '' : `${path}/`,
    endpoint,
    region,
    location: endpoint === undefined ? place : `${place} at ${endpoint}`,
  };
}

/** What cannot be decoded is no safe path either. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return '..';
  }
}

function checkEndpoint(endpoint: string): void {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol)) throw invalid('has an endpoint that is no http or https URL');
  if (url.username !== '' || url.password !== '') throw invalid('has an endpoint with credentials');
}

function invalid(what: string): AppError {
  return new AppError(
    'invalid_field',
    `The address of the S3 bucket ${what}. Write s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION.`,
  );
}
