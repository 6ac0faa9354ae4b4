/**
 * What mcproxy promises about what nobody else can vouch for: secrets, the tool lock and the chain of the access log.
 *
 * A part of `requirements.ts`, which says what ids are for; a file of its own for its length alone.
 */

/** Secrets. */
const SECRETS = {
  'secrets.references':
    '`file:PATH` and `cred:NAME` stand for a secret where one is expected, and for nothing elsewhere.',
  'secrets.files':
    'A file of a secret that is missing, empty, too long or open to everybody is a problem with its place and what to do.',
  'secrets.rotation': 'A file of a secret that changes is in force within a second.',
  'secrets.upstream-errors': 'The error of a server reaches clients without the secrets that it quotes.',
  'secrets.nowhere': 'No secret of the files, the environment or a server is in any output, whatever fails.',
} as const;

/** The tool lock. */
const LOCK = {
  'lock.file':
    '`mcproxy lock` writes one line for each tool in a stable order, with a digest that the order of members does not change.',
  'lock.warn':
    'With `lock: warn` a changed, new or vanished tool is told once, in the diagnostic log and in the status.',
  'lock.block': 'With `lock: block` what is not approved is in no list, cannot be called, and the log says why.',
  'lock.approve':
    '`mcproxy lock diff` says in words what changed; `lock approve` takes over what it showed, at once and with list_changed.',
  'lock.unlocked': 'A server that is not in the file shows nothing under block, and the way to lock it is told.',
  'lock.terminal': 'What a server says of its tools does not steer the terminal.',
} as const;

/** The chain of the access log. */
const CHAIN = {
  'log.chain': 'With `log.chain` each line carries the digest of the line before it, over restarts and rotations.',
  'log.chain-verify': '`mcproxy logs verify` finds every changed, removed or inserted line and says where.',
  'log.chain-cut': 'Half a line that kill -9 or a full disk leaves is told apart from tampering.',
  'log.chain-anchor': '`--expect` finds lines missing at the end and a log that was written anew.',
  'log.logs-command': '`mcproxy logs` shows, filters and follows the access log.',
} as const;

export const SAFEKEEPING = { ...SECRETS, ...LOCK, ...CHAIN };
