/** The command line as a shell sees it: help, messages, exit codes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const COMMANDS = ['up', 'serve', 'generate', 'convert', 'models', 'keys', 'bench', 'check', 'test'];
const folder = mkdtempSync(join(tmpdir(), 'slipway-cli-'));

function slipway(...args: string[]) {
  return spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
  });
}

describe('slipway', () => {
  it.each([[], ['--help'], ['help']])('lists its commands with %j', (...args) => {
    const { status, stdout, stderr } = slipway(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const command of COMMANDS) expect(stdout).toContain(`\n  ${command} `);
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('Exit codes:');
  });

  it.each(COMMANDS)('%s explains itself', (command) => {
    const { status, stdout } = slipway(command, '--help');
    expect(status).toBe(0);
    expect(stdout).toContain(`Usage: slipway ${command}`);
    expect(stdout.split('\n').length).toBeGreaterThan(5);
  });

  it('keeps its help within 80 columns where there is no terminal, and commands whole', () => {
    const lines = slipway('train', '--help').stdout.split('\n');
    const tooLong = lines.filter((line) => line.length > 80);
    expect(tooLong.filter((line) => !line.startsWith('  slipway '))).toEqual([]);
    expect(tooLong.length).toBeGreaterThan(0);
    expect(lines).toContain(`${' '.repeat(37)}bucket.`);
  });

  it('says which path is refused, and calls it no bug', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { status, stderr } = slipway('models', 'list', '--bucket', file);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `slipway: ENOTDIR: not a directory, scandir '${file}/manifests/'\n`,
    });
  });

  it('says that there is no such command, also when its help is asked for', () => {
    expect(slipway('help', 'trian')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("unknown command 'trian'\n(Did you mean train?)"),
    });
  });

  it('ends quietly when nobody reads on', () => {
    const main = join(import.meta.dirname, 'main.ts');
    const { stdout, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" "${main}" --help | true`], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
  });

  it('explains a command of a command', () => {
    const { status, stdout } = slipway('help', 'data', 'inspect');
    expect(status).toBe(0);
    expect(stdout).toContain('Usage: slipway data inspect');
    expect(stdout).toContain('--rejected <file>');
  });

  it.each([
    [['explode'], "unknown command 'explode'"],
    [['convert', 'x', '--name', 'y', '--forse'], "unknown option '--forse'"],
    [['convert', '--name', 'x'], "missing required argument 'source'"],
    [['convert', './nowhere', '--name', 'x'], 'nowhere'],
    [['convert', './nowhere', '--name', 'x', '--bucket', 's3://b'], 'S3'],
    [['serve', 'nobody', '--bucket', './empty'], 'nobody'],
    [['bench', 'nothing', '--peers', 'none', '--model', 'x'], 'x'],
  ])("%j is the asker's mistake: one message, exit code 2", (args, message) => {
    const { status, stderr } = slipway(...args);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(2);
  });
});
