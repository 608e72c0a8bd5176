/** The files by which others run the service: valid for those who read them, and true to what the service does. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import { describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  composeSchema,
  definitionMissing,
  hadolint,
  kubernetesSchema,
  scaledObjectSchema,
  type Verdict,
  validatorsMissing,
} from './testing/validators.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const DRAIN = (await loadServiceConfig({ path: null })).drainSeconds;
const variables = new Set(read('.env.example').match(/(?<=^# )[A-Z_]+(?==)/gm));
vi.setConfig({ testTimeout: 120_000 });

/** A copy with one text replaced, to see the judge say no. */
function broken(path: string, from: string, to: string): string {
  const text = read(path);
  if (!text.includes(from)) throw new Error(`${path} has no "${from}"`);
  const copy = join(mkdtempSync(join(tmpdir(), 'slipway-broken-')), path.replaceAll('/', '-'));
  writeFileSync(copy, text.replace(from, to));
  return copy;
}

type Judged = [string, (file: string) => Verdict, string, string, string];

function validAndNotWithAMistake(...[path, judge, from, to, complaint]: Judged): void {
  const verdict = judge(join(ROOT, path));
  expect(verdict, verdict.output).toMatchObject({ exitCode: 0 });
  const refused = judge(broken(path, from, to));
  expect(refused.exitCode).not.toBe(0);
  expect(refused.output).toContain(complaint);
}

describe.skipIf(validatorsMissing)(`judged by those who know${validatorsMissing}`, () => {
  it.each<Judged>([
    ['Dockerfile.inference', hadolint, 'WORKDIR /app', 'WORKDIR app', 'DL3000'],
    ['compose.yaml', composeSchema, 'mem_limit', 'memory_limit', 'memory_limit'],
    ['deploy/kubernetes/deployment.yaml', kubernetesSchema, 'runAsNonRoot', 'runAsNotRoot', 'runAsNotRoot'],
    ['deploy/kubernetes/service.yaml', kubernetesSchema, 'targetPort', 'toPort', 'toPort'],
  ])('%s is valid, and would not be with a mistake', validAndNotWithAMistake);

  it
    .skipIf(definitionMissing)
    .each<Judged>([
      ['deploy/kubernetes/scaled-object.yaml', scaledObjectSchema, 'maxReplicaCount', 'maxReplicas', 'maxReplicas'],
    ])(`%s is valid, and would not be with a mistake${definitionMissing}`, validAndNotWithAMistake);
});

/** Neither platform publishes its schema where packages come from: the fields are those of their reference pages. */
const Blueprint = z.strictObject({
  services: z.array(
    z.strictObject({
      type: z.enum(['web', 'pserv', 'worker', 'cron', 'keyvalue']),
      name: z.string(),
      runtime: z.literal('docker'),
      dockerfilePath: z.string(),
      plan: z.enum(['free', 'starter', 'standard', 'pro', 'pro plus', 'pro max', 'pro ultra']),
      healthCheckPath: z.string().startsWith('/'),
      maxShutdownDelaySeconds: z.number().int().min(1).max(300),
      envVars: z.array(
        z.union([
          z.strictObject({ key: z.string(), value: z.union([z.string(), z.number()]) }),
          z.strictObject({ key: z.string(), generateValue: z.literal(true) }),
          z.strictObject({ key: z.string(), sync: z.literal(false) }),
        ]),
      ),
    }),
  ),
});
const Railway = z.strictObject({
  $schema: z.literal('https://railway.com/railway.schema.json'),
  build: z.strictObject({ builder: z.enum(['RAILPACK', 'DOCKERFILE']), dockerfilePath: z.string() }),
  deploy: z.strictObject({
    healthcheckPath: z.string().startsWith('/'),
    healthcheckTimeout: z.number().int().positive(),
    overlapSeconds: z.number().int().min(0),
    drainingSeconds: z.number().int().min(0),
    restartPolicyType: z.enum(['ON_FAILURE', 'ALWAYS', 'NEVER']),
    restartPolicyMaxRetries: z.number().int().positive(),
  }),
});

describe('what the platforms are told', () => {
  const render = Blueprint.parse(parse(read('render.yaml'))).services[0];
  const railway = Railway.parse(JSON.parse(read('railway.json')));
  const compose = z
    .object({
      services: z.record(z.string(), z.object({ environment: z.record(z.string(), z.string()).optional() }).loose()),
    })
    .parse(parse(read('compose.yaml'), { merge: true })).services;
  const pod = z
    .object({
      terminationGracePeriodSeconds: z.number(),
      containers: z.tuple([
        z.object({
          env: z.array(z.object({ name: z.string(), value: z.string() })),
          lifecycle: z.object({ preStop: z.object({ sleep: z.object({ seconds: z.number() }) }) }),
        }),
      ]),
    })
    .parse(parse(read('deploy/kubernetes/deployment.yaml')).spec.template.spec);

  it('leaves requests in flight the time to finish', () => {
    expect(render?.maxShutdownDelaySeconds).toBeGreaterThanOrEqual(DRAIN + 5);
    expect(railway.deploy.drainingSeconds).toBeGreaterThanOrEqual(DRAIN + 5);
    expect(Number.parseInt(String(compose.inference?.stop_grace_period), 10)).toBeGreaterThanOrEqual(DRAIN + 5);
    const pause = pod.containers[0].lifecycle.preStop.sleep.seconds;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(Math.max(65, DRAIN + pause + 5));
  });

  it('builds by a Dockerfile that is there', () => {
    for (const path of [render?.dockerfilePath, railway.build.dockerfilePath])
      expect(read(path ?? '')).toContain('FROM');
  });

  it('sets nothing that the service does not know', () => {
    const set = [
      ...(render?.envVars.map(({ key }) => key) ?? []),
      ...Object.values(compose).flatMap(({ environment = {} }) => Object.keys(environment)),
      ...pod.containers[0].env.map(({ name }) => name),
    ];
    expect(set.length).toBeGreaterThan(8);
    expect(set.filter((name) => !variables.has(name))).toEqual([]);
  });
});
