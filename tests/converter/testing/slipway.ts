/** Runs the command line as a user does, and tells what came out. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));

export interface Ended {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  /** Without the lines that only tell progress. */
  readonly errors: string[];
}

/** `killAt`: the progress line at whose appearance it is killed with SIGKILL. */
export function slipway(args: readonly string[], killAt?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH, HOME },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (killAt !== undefined && stderr.includes(`${killAt} ...`)) child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('close', (code) => {
      const lines = stderr.split('\n').filter((line) => line !== '' && !/^[a-z]+ \.\.\.$/.test(line));
      resolve({ code, stdout, errors: lines });
    });
  });
}
