/**
 * Runs a development tool, of node_modules with this very Node or another program, and gives its exit code and output. Knows no tool.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';

export const ROOT = resolve(import.meta.dirname, '..');

export interface ToolResult {
  /** 1 when it was ended by a signal. */
  readonly exitCode: number;
  /** stdout and stderr in the order they came; empty with `inherit`. */
  readonly output: string;
  readonly seconds: number;
}

/** `entry`: the tool's JavaScript file below node_modules. `inherit` lets it write to this terminal. */
export async function runTool(
  entry: string,
  args: readonly string[],
  stdio: 'inherit' | 'capture' = 'capture',
): Promise<ToolResult> {
  const file = join(ROOT, 'node_modules', entry);
  if (!existsSync(file)) {
    throw new AppError(
      'not_found',
      `${entry} is not installed (a production install has no development tools). Run npm ci in ${ROOT}.`,
    );
  }
  return runProgram(process.execPath, [file, ...args], ROOT, stdio);
}

export async function runProgram(
  program: string,
  args: readonly string[],
  cwd: string,
  stdio: 'inherit' | 'capture' = 'capture',
): Promise<ToolResult> {
  const started = performance.now();
  const child = spawn(program, args, {
    cwd,
    stdio: stdio === 'inherit' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const exitCode = await new Promise<number>((settle, fail) => {
    child.once('error', fail);
    child.once('close', (code) => settle(code ?? 1));
  });
  return {
    exitCode,
    output: Buffer.concat(chunks).toString('utf8').trim(),
    seconds: (performance.now() - started) / 1000,
  };
}
