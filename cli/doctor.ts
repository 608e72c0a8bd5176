/**
 * `slipway doctor`: what the examination of a set-up finds, for people or as JSON. Knows no check.
 */
import type { Finding } from '@slipway/inference/doctor';
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import { type Command, InvalidArgumentError } from 'commander';

interface DoctorOptions {
  readonly config?: string;
  readonly bucket?: string;
  readonly port?: string;
  readonly grace?: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('doctor')
    .description('check a set-up before it is deployed, and say how to mend it')
    .argument('[model]', 'NAME, NAME@champion or NAME@v001 (MODEL; default: the first in the bucket)')
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket, else the bundled model)')
    .option('--port <number>', 'port to listen on (PORT; default: 8080)')
    .option('--config <file>', 'settings in YAML (CONFIG; default: ./config.yml when there is one)')
    .option('--grace <seconds>', 'how long the platform waits after SIGTERM before it kills', seconds)
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
It reads the settings that the service would read, and tries what the service would do: it listens on the port, looks into the bucket,
verifies the model's files, and lets an engine compute a few tokens. Run it where the service is to run, with its environment.

Exit codes: 0 nothing stands in the way (advice may be given), 1 problems were found, 2 the settings themselves are wrong.

Examples:
  slipway doctor
  node --env-file=.env cli/main.ts doctor smol@champion --grace 30
  slipway doctor --json | jq '.findings[] | select(.verdict != "ok")'`,
    )
    .action(async (model: string | undefined, { config: path, bucket, port, grace, json }: DoctorOptions) => {
      // AppError with every problem of the settings at once.
      const config = await loadServiceConfig({
        flags: { model, bucketUrl: bucket, port },
        environment: process.env,
        path,
      });
      const { examine } = await import('@slipway/inference/doctor');
      const findings: Finding[] = [];
      for await (const finding of examine({ config, grace: grace ?? platformGrace(process.env) })) {
        findings.push(finding);
        if (!json) console.log(describe(finding));
      }
      const problems = findings.filter(({ verdict }) => verdict === 'problem').length;
      if (json) console.log(JSON.stringify({ ready: problems === 0, findings }, null, 2));
      else console.log(`\n${conclude(problems)}`);
      if (problems > 0) process.exitCode = 1;
    });
}

/** Railway tells its own. */
function platformGrace(environment: NodeJS.ProcessEnv): number | null {
  const told = Number(environment.RAILWAY_DEPLOYMENT_DRAINING_SECONDS || Number.NaN);
  return Number.isFinite(told) ? told : null;
}

function describe({ verdict, check, says, mend }: Finding): string {
  const line = `${verdict.padEnd(9)}${check.padEnd(11)}${says}`;
  return mend === undefined ? line : `${line}\n${' '.repeat(20)}-> ${mend}`;
}

function conclude(problems: number): string {
  if (problems === 0) return 'Nothing stands in the way.';
  return problems === 1 ? 'One problem to mend first.' : `${problems} problems to mend first.`;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number of seconds.');
  return value;
}
