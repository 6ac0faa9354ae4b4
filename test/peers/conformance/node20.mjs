// Lets the conformance suite load on Node 20. It imports `fs.globSync`, which exists from Node 22 on and which only
// its tier-check command calls. The hook gives the suite (and nobody else) an `fs` with a stand-in.
import { register } from 'node:module';

const FS_WITH_GLOB = `
  import fs from 'node:fs';
  export * from 'node:fs';
  export default fs;
  export const globSync = () => [];
`;

const HOOKS = `
  const FS_WITH_GLOB = ${JSON.stringify(FS_WITH_GLOB)};
  export async function resolve(specifier, context, next) {
    const fromSuite = context.parentURL?.includes('/conformance/dist/') ?? false;
    if (specifier === 'fs' && fromSuite) return { url: 'fs-with-glob:', shortCircuit: true };
    return next(specifier, context);
  }
  export async function load(url, context, next) {
    if (url === 'fs-with-glob:') return { format: 'module', source: FS_WITH_GLOB, shortCircuit: true };
    return next(url, context);
  }
`;

register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
