/**
 * The file of API keys: who may call and what each may do. Holds digests only, so that nobody who reads it can call. Knows nothing of
 * where the file lies or of HTTP.
 */
import { z } from 'zod';
import { describeIssues } from '../lib/describe-issues.ts';
import { AppError } from './errors.ts';

/**
 * `infer` may ask the inference service, `train` the trainer; neither may change what is loaded or served, nor see what belongs to another
 * key. `admin` may do all.
 */
export const SCOPES = ['infer', 'train', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Names of callers that are in no file: who sends API_KEY, and who comes where no key is asked for. */
export const ENVIRONMENT_CALLER = 'environment';
export const ANONYMOUS_CALLER = 'anonymous';

/** Every request is compared with every key. */
const MOST_KEYS = 1000;

/** Also the owner of batches, files and sessions. */
export const keyName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
  .refine(
    (name) => name !== ENVIRONMENT_CALLER && name !== ANONYMOUS_CALLER,
    'is a name that the service gives itself',
  );

const perMinute = z.number().int().min(1).max(1_000_000_000);

const apiKeyEntry = z.strictObject({
  name: keyName,
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be the sha256 of a key in 64 hexadecimal digits, never the key'),
  scopes: z.array(z.enum(SCOPES)).min(1),
  created: z.iso.datetime().optional(),
  /** From then on it is refused. */
  expires: z.iso.datetime().optional(),
  /** Instead of RATE_LIMIT_RPM and RATE_LIMIT_TPM. */
  requests_per_minute: perMinute.optional(),
  tokens_per_minute: perMinute.optional(),
});
export type ApiKeyEntry = z.infer<typeof apiKeyEntry>;

const keysFile = z.strictObject({
  keys: z
    .array(apiKeyEntry)
    .max(MOST_KEYS)
    .refine((keys) => areDistinct(keys.map(({ name }) => name)), 'two keys have one name')
    .refine((keys) => areDistinct(keys.map(({ sha256 }) => sha256)), 'two entries hold one key'),
});

/** The file's text, JSON when its name says so and YAML otherwise. AppError invalid_field says what is wrong, never what stands there. */
export async function parseKeysFile(text: string, path: string): Promise<readonly ApiKeyEntry[]> {
  const parsed = keysFile.safeParse(path.endsWith('.json') ? parseJson(text, path) : await parseYaml(text, path));
  if (parsed.success) return parsed.data.keys;
  throw unusable(path, describeIssues(parsed.error).replaceAll(/sk-slipway-[\w-]*/g, 'sk-slipway-...'));
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Its message would quote the file.
    throw unusable(path, 'it is not valid JSON');
  }
}

async function parseYaml(text: string, path: string): Promise<unknown> {
  const { parse, YAMLParseError } = await import('yaml');
  try {
    return parse(text);
  } catch (error) {
    // Other kinds of errors come of aliases; only these know a line.
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw unusable(path, `it is not valid YAML${line === undefined ? '' : ` in line ${line}`}`);
  }
}

function unusable(path: string, problem: string): AppError {
  return new AppError('invalid_field', `the file of API keys ${path} cannot be used: ${problem}`);
}

function areDistinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
