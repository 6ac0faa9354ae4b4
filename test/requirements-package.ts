/**
 * What mcproxy promises when it stops, as a service and as a package; a part of the table of `requirements.ts`, whose rules hold here.
 *
 * Apart only because one file would be too long: the tests of these ids are in `test/package`, and a few beside.
 */

/** Under a service manager. */
export const SERVICE = {
  'service.notify': 'The service manager is told readiness, reloads, the end and a status line, in order.',
  'service.watchdog': 'While the event loop turns, signs of life go out twice per watchdog time.',
  'service.socket-activation': 'A listening socket that the service manager passes is served instead of `listen`.',
  'service.restart-refuses-nobody': 'With socket activation a restart refuses no connection.',
} as const;

/** What is shipped. */
export const PACKAGE = {
  'package.programs': 'The bundle, the executables of both architectures and the npm package relay and aggregate.',
  'package.reproducible': 'The same commit gives the same bytes of every product.',
  'package.release': 'A release is made from a commit, in order, and ends at the first step that fails.',
  'package.install':
    'Installed, the service has its user, its files with their modes, listens on port 3000 and answers 401 with the way to add a user.',
  'package.upgrade': 'An upgrade keeps edited files and sessions and restarts the service.',
  'package.remove': 'Removing stops the service and keeps the files; purging leaves none.',
  'package.reload': '`systemctl reload` applies the files or fails with the reason, which is in the journal.',
  'package.commands': 'A local command runs in the confined service and can write to its home and caches.',
  'package.confinement': 'The unit is valid and its exposure stays within the bound.',
  'package.boot':
    'Installed on a real Debian it serves after each start of the machine, comes back when killed, and continues its log and sessions.',
  'package.containers':
    'The images serve unprivileged and confined, say whether they are healthy, and stop in good order.',
  'package.container-files':
    'compose.yml, the Quadlet and kubernetes.yml run the image by the commands of their guide, and end it in good order.',
  'package.install-script':
    'install.sh brings a bare system to a first user and a tried service, can be run again, and undoes it.',
  'package.texts': 'Manual page, completions and the shipped configuration fit the program.',
} as const;

/** Several instances behind a load balancer. */
export const INSTANCES = {
  'instances.key': '`cluster.key` seals in place of the state directory; one that could be guessed is a problem.',
  'instances.key-changes': 'A changed `cluster.key` is applied by a reload, and what clients carry goes on.',
  'instances.sessions': 'A session that was opened at one instance goes on at the others.',
  'instances.request-state': 'A question that one instance passed on can be answered at another.',
  'instances.spread': 'Requests take turns, or each token stays at one instance, as the balancer is told.',
  'instances.killed':
    'Killing an instance under load loses only what was in flight there and cannot be repeated safely.',
  'instances.read-again': 'What only reads is asked again at another instance, and a call is not.',
  'instances.rolling-restart': 'Restarting the instances one after the other loses nothing.',
} as const;

/** Shutdown. */
export const SHUTDOWN = {
  'shutdown.drain': 'For the time of `drain` a stopping instance says 503 at `/readyz` and serves all the same.',
  'shutdown.grace': 'Exchanges in progress finish within the grace.',
  'shutdown.sse-ended': 'Open SSE streams end cleanly.',
  'listener.full':
    'When as many connections are open as there may be, the operator is told; descriptors are left for the rest.',
  'listener.waiting': 'A port that is in use is waited for; the operator is told once.',
  'shutdown.just-accepted': 'A connection that was just accepted is not reset: its first request is answered.',
  'shutdown.flush': 'The log is flushed.',
  'shutdown.exit-zero': 'A stop by signal is exit 0.',
  'shutdown.second-signal': 'A second signal stops at once.',
} as const;
