/**
 * Runs the official conformance suite against a URL and compares two runs check by check.
 *
 * The suite writes one directory with `checks.json` per scenario; a scenario that it gave up leaves an unreadable
 * file and counts as one failed check. A check that was reported several times has its worst status. A proxy is
 * transparent when the runs with and without it differ in nothing, scored or not.
 */
import { spawn } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export type RequirementSet = '2025-11-25' | '2026-07-28';

export interface Check {
  readonly status: string;
  readonly message: string;
}

/** Scenario name → check id → the worst that was reported. */
export type Run = ReadonlyMap<string, ReadonlyMap<string, Check>>;

export interface RunOptions {
  readonly url: string;
  /** What is run: a whole set, or one scenario by name. */
  readonly what: { readonly requirements: RequirementSet } | { readonly scenario: string };
  /** An empty directory for the suite's reports; a name for each run. */
  readonly outDir: string;
  /** Sent with every request; the suite has no option for that. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly run: Run;
  /** 0 when every required scenario passed. */
  readonly exitCode: number | null;
  /** The suite's own account of the run. */
  readonly summary: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SUITE = path.join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const PRELOADS = ['node20.mjs', 'headers.mjs'].map((name) => path.join(ROOT, 'test/peers/conformance', name));
const SEVERITY: Readonly<Record<string, number>> = { INFO: 0, SKIPPED: 0, SUCCESS: 1, WARNING: 2, FAILURE: 3 };
const ABORTED = { id: 'scenario-aborted', status: 'FAILURE', errorMessage: 'the suite wrote no report' };

interface ReportedCheck {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

export async function runConformance(options: RunOptions): Promise<RunResult> {
  const preloads = PRELOADS.flatMap((file) => ['--import', file]);
  const { url, what, outDir } = options;
  const chosen = 'scenario' in what ? ['--scenario', what.scenario] : ['--requirements', what.requirements];
  const command = ['server', '--url', url, ...chosen, '-o', outDir];
  const child = spawn(process.execPath, [...preloads, SUITE, ...command], {
    env: { ...process.env, CONFORMANCE_HEADERS: JSON.stringify(options.headers ?? {}) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const text = Buffer.concat(output).toString('utf8');
  const summary = text.slice(Math.max(0, text.indexOf('=== SUMMARY ===')));
  return { run: await readRun(options.outDir), exitCode, summary };
}

/** Every check whose status is not the same in both runs, one readable line each; empty means transparent. */
export function differences(direct: Run, proxied: Run): string[] {
  const lines: string[] = [];
  for (const scenario of new Set([...direct.keys(), ...proxied.keys()])) {
    const before = direct.get(scenario);
    const after = proxied.get(scenario);
    for (const id of new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])])) {
      const [from, to] = [before?.get(id), after?.get(id)];
      if (from?.status === to?.status) continue;
      lines.push(
        `${scenario} :: ${id}: ${from?.status ?? 'absent'} -> ${to?.status ?? 'absent'} ${to?.message ?? ''}`.trimEnd(),
      );
    }
  }
  return lines;
}

/** Scenarios of a run in which no check failed. */
export function passedScenarios(run: Run): string[] {
  const passed = [...run].filter(([, checks]) => [...checks.values()].every(({ status }) => status !== 'FAILURE'));
  return passed.map(([scenario]) => scenario);
}

async function readRun(outDir: string): Promise<Run> {
  const run = new Map<string, Map<string, Check>>();
  for (const directory of await readdir(outDir)) {
    // server-<scenario>-<ISO time with dashes>
    const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(directory)?.[1];
    if (scenario === undefined) continue;
    const checks = new Map<string, Check>();
    for (const check of await readChecks(path.join(outDir, directory, 'checks.json'))) {
      const known = checks.get(check.id);
      if (known !== undefined && severity(known.status) >= severity(check.status)) continue;
      checks.set(check.id, { status: check.status, message: check.errorMessage ?? '' });
    }
    run.set(scenario, checks);
  }
  return run;
}

async function readChecks(file: string): Promise<readonly ReportedCheck[]> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as ReportedCheck[];
  } catch {
    return [ABORTED];
  }
}

function severity(status: string): number {
  return SEVERITY[status] ?? 3;
}
