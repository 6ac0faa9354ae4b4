/**
 * Loaded into mcproxy by the soak test: on SIGUSR2 it collects garbage and writes what the process holds to a file.
 *
 * `MCPROXY_SOAK_PROBE` is the file, replaced as a whole so that a reader never sees half of it. Timers are counted by
 * wrapping the global functions, because the runtime lists only those that keep it alive. Wants `--expose-gc`.
 */
import { renameSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const timers = new Set();
const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;

globalThis.setTimeout = (run, ms, ...args) => {
  const timer = setTimeout(() => {
    timers.delete(timer);
    run(...args);
  }, ms);
  timers.add(timer);
  return timer;
};
globalThis.setInterval = (run, ms, ...args) => {
  const timer = setInterval(run, ms, ...args);
  timers.add(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => {
  timers.delete(timer);
  clearTimeout(timer);
};
globalThis.clearInterval = (timer) => {
  timers.delete(timer);
  clearInterval(timer);
};

let count = 0;
process.on('SIGUSR2', () => {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, rss, external } = process.memoryUsage();
  const handles = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  delete handles.Timeout;
  const file = process.env.MCPROXY_SOAK_PROBE;
  writeFileSync(
    `${file}.new`,
    JSON.stringify({ count: (count += 1), heapUsed, rss, external, timers: timers.size, handles }),
  );
  renameSync(`${file}.new`, file);
});
