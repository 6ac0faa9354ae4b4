// Adds the headers of CONFORMANCE_HEADERS (a JSON object) to every request of the conformance suite, which has no
// option for it. The suite uses three HTTP stacks: the global fetch, node:http and its own copy of undici; each is
// wrapped once. A header that the suite sets itself is left alone.
import http from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const added = Object.entries(JSON.parse(process.env.CONFORMANCE_HEADERS ?? '{}'));

const plainFetch = globalThis.fetch;
globalThis.fetch = (input, init = {}) => {
  const headers = new Headers(init.headers ?? input?.headers);
  for (const [name, value] of added) if (!headers.has(name)) headers.set(name, value);
  return plainFetch(input, { ...init, headers });
};

const plainRequest = http.request;
http.request = function request(...args) {
  const outgoing = plainRequest.apply(this, args);
  for (const [name, value] of added) if (!outgoing.hasHeader(name)) outgoing.setHeader(name, value);
  return outgoing;
};
syncBuiltinESMExports();

const undici = createRequire(process.argv[1])('undici');
undici.setGlobalDispatcher(
  undici.getGlobalDispatcher().compose((dispatch) => (options, handler) => {
    const headers = { ...options.headers };
    const present = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
    for (const [name, value] of added) if (!present.has(name.toLowerCase())) headers[name] = value;
    return dispatch({ ...options, headers }, handler);
  }),
);
