/**
 * A real S3 server for tests: versitygw over a folder. Taken from VERSITYGW, PATH, or where Go puts programs; built with Go where that
 * is there, but not on a CI machine.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const BUILT = join(import.meta.dirname, '../../../node_modules/.cache/slipway');

export interface S3Server {
  readonly endpoint: string;
  /** Holds a folder per bucket. */
  readonly root: string;
  /** For addresses: s3://BUCKET/anything?endpoint=... */
  readonly bucket: string;
  stop(): Promise<void>;
}

/** Sets the credentials in this process's environment. A string says why there is no server. */
export async function startS3Server(): Promise<S3Server | string> {
  const program = findProgram();
  if (program === undefined) return 'neither versitygw nor Go to build it with is here';
  const scratch = await mkdtemp(join(tmpdir(), 'slipway-s3-'));
  const root = join(scratch, 'root');
  await Promise.all([mkdir(root), mkdir(join(scratch, 'meta'))]);
  const port = await freePort();
  const credentials = { accessKeyId: 'slipway-test', secretAccessKey: 'not-a-secret' };
  const server = spawn(
    program,
    ['--quiet', '--port', `127.0.0.1:${port}`, 'posix', '--sidecar', join(scratch, 'meta'), root],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    },
  );
  let said = '';
  server.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const exited = new Promise<void>((resolve) => server.once('close', () => resolve()));
  const stop = async () => {
    server.kill('SIGKILL');
    await exited;
    await rm(scratch, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  for (let attempt = 0; ; attempt++) {
    try {
      await client.send(new CreateBucketCommand({ Bucket: 'slipway' }));
      break;
    } catch (error) {
      if (attempt === 150 || server.exitCode !== null) {
        await stop();
        return `${program} does not serve: ${said || String(error)}`;
      }
      await pause(100);
    }
  }
  client.destroy();
  process.env.AWS_ACCESS_KEY_ID = credentials.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = credentials.secretAccessKey;
  return { endpoint, root, bucket: 'slipway', stop };
}

function findProgram(): string | undefined {
  const { VERSITYGW, PATH = '', GOBIN, GOPATH, CI } = process.env;
  if (VERSITYGW) return VERSITYGW;
  const folders = [...PATH.split(delimiter), GOBIN, GOPATH && join(GOPATH, 'bin'), join(homedir(), 'go/bin'), BUILT];
  const found = folders.map((folder) => join(folder || '.', 'versitygw')).find((file) => existsSync(file));
  if (found !== undefined || CI) return found;
  const { status } = spawnSync('go', ['install', MODULE], { env: { ...process.env, GOBIN: BUILT }, stdio: 'ignore' });
  return status === 0 ? join(BUILT, 'versitygw') : undefined;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
