/**
 * Who answers a command that asks servers: the running service, else the same message path opened in this process.
 *
 * Without a service the servers are started from the same files, only those that are needed, and stopped again with
 * everything that belongs to them. Then nothing is written to the access log, which belongs to the service. A service
 * that is there and may not be asked is never worked around: its servers would run twice.
 */
import { randomBytes } from 'node:crypto';

import { makeSealer } from '../auth/seal.ts';
import { openDiag } from '../log/diag.ts';
import { makeRedactor } from '../log/redact.ts';
import type { McpEvents } from '../mcp/waist.ts';
import type { Config } from '../model.ts';
import { createUpstreamPool } from '../upstream/pool.ts';
import { findService, reportNoService } from './admin-client.ts';
import { CLOCK } from './clock.ts';
import { openCredentials } from './credentials.ts';
import { EXIT, flagOption, textOption, type Invocation } from './command.ts';
import { createLocalRequests, type LocalAnswer, type LocalQuestion } from './local-requests.ts';
import { askOverSocket } from './local-wire.ts';
import { openMessagePath } from './messages.ts';
import { loadNamed } from './named-files.ts';
import { problemsText } from './report.ts';
import { httpServers } from './snapshot.ts';
import { stateDirectory } from './state-key.ts';

export interface AskedCall {
  /** Rejects when the service breaks off. */
  readonly answer: Promise<LocalAnswer>;
  cancel(reason: string): void;
}

export interface Asker {
  ask(question: LocalQuestion, events: McpEvents): AskedCall;
  /** Resolves when nothing that was started is left. */
  close(): Promise<void>;
}

const UNWANTED = { kind: 'none', text: 'the service is not asked', absent: true } as const;

/** Whoever can answer, or the exit code of a command that found nobody and has said why. */
export async function openAsker(invocation: Invocation): Promise<Asker | number> {
  const service = flagOption(invocation, 'no-service') ? UNWANTED : await findService(invocation);
  if (service.kind === 'found') {
    const { path } = service;
    return { ask: (question, events) => askOverSocket(path, question, events), close: () => Promise.resolve() };
  }
  if (!service.absent || textOption(invocation, 'socket') !== undefined) {
    return reportNoService(invocation, service.text);
  }
  const { config, problems, demo, files } = await loadNamed(invocation);
  if (config === undefined) {
    invocation.stderr.write(problemsText(problems));
    return EXIT.config;
  }
  if (demo) {
    invocation.stderr.write(`mcproxy: ${service.text}, and there is no configuration (${files.join(', ')})\n`);
    return EXIT.unavailable;
  }
  return openOwn(invocation, config);
}

/** @throws {ProxyError} CONFIG_INVALID when a file that a server needs cannot be read */
async function openOwn(invocation: Invocation, config: Config): Promise<Asker> {
  const diag = openDiag({
    write: (line) => void invocation.stderr.write(line),
    level: flagOption(invocation, 'verbose') ? 'info' : 'error',
    now: () => CLOCK.wallMs(),
    monotonicMs: () => CLOCK.monotonicMs(),
    timestamps: false,
    priorityPrefix: false,
  });
  const pool = createUpstreamPool();
  const credentials = openCredentials({ clock: CLOCK, diag, pool, stateDirectory: stateDirectory(invocation.env) });
  credentials.apply(config);
  diag.setRedactor(makeRedactor(config.secrets, credentials.passingSecrets));
  await pool.prepare(httpServers(config));
  const messages = openMessagePath({
    config,
    clock: CLOCK,
    diag,
    pool,
    sealer: makeSealer(randomBytes(32)),
    credentials,
    ambientEnv: invocation.env,
    isLazy: true,
    logParams: () => undefined,
  });
  const requests = createLocalRequests({
    clock: CLOCK,
    config: () => config,
    view: (principal, serverName) => messages.view(principal, serverName),
    keepParams: () => undefined,
    append: (_entry, done) => done(),
    onInternal: (cause) => diag.error('internal error', { cause }),
  });
  return {
    ask: (question, events) => requests.ask(question, events),
    async close() {
      requests.stop();
      messages.drain();
      await messages.close();
      await credentials.close();
      pool.close();
    },
  };
}
