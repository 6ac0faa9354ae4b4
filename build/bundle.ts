/**
 * `npm run build`: everything under src/ into one file, `dist/mcproxy.js`, that plain `node` runs.
 *
 * CommonJS, because a single executable application needs it. V8 keeps the text in memory as long as the program runs,
 * with two bytes for each character as soon as one is beyond Latin-1; so it is ASCII, without comments and indentation,
 * which is one megabyte less (packaging/README.md, "Memory"). Names stay and lines are short: a stack trace can be read.
 * `import()` becomes `require()`: Node does not promise the former to code from V8's cache. The same tree gives the same
 * bytes. Nothing but src/ goes in: a package that finds its way into the graph fails the build. `dist/package.json` marks
 * the folder as CommonJS, since the project itself is ESM.
 */
import { build } from 'esbuild';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readIdentity } from './version.ts';

export interface BundleOptions {
  /** Top of the source tree. */
  readonly root: string;
  /** Entry file, relative to `root`. */
  readonly entry: string;
  /** Folder for the results; made when missing. */
  readonly outDir: string;
}

/** About; esbuild breaks a line at the next place where it may. */
const LINE_CHARS_MAX = 120;

/**
 * Writes `mcproxy.js` and `package.json` into `outDir`.
 *
 * @returns the path of the bundle
 */
export async function bundle(options: BundleOptions): Promise<string> {
  const { version, commit } = readIdentity(options.root);
  const outFile = join(options.outDir, 'mcproxy.js');
  const result = await build({
    absWorkingDir: options.root,
    entryPoints: [options.entry],
    outfile: outFile,
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    charset: 'ascii',
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    lineLimit: LINE_CHARS_MAX,
    legalComments: 'none',
    banner: { js: '#!/usr/bin/env node' },
    define: {
      __MCPROXY_VERSION__: JSON.stringify(version),
      __MCPROXY_COMMIT__: JSON.stringify(commit),
    },
    metafile: true,
    logLevel: 'warning',
  });
  const strangers = Object.keys(result.metafile.inputs).filter(
    (path) => !path.startsWith('src/') && path !== 'package.json',
  );
  if (strangers.length > 0) throw new Error(`only src/ may be bundled, found: ${strangers.join(', ')}`);
  if (result.warnings.length > 0) throw new Error(`esbuild gave ${result.warnings.length} warnings, shown above`);

  mkdirSync(options.outDir, { recursive: true });
  for (const file of result.outputFiles) writeFileSync(file.path, file.contents);
  chmodSync(outFile, 0o755);
  writeFileSync(join(options.outDir, 'package.json'), '{ "type": "commonjs" }\n');
  return outFile;
}

async function main(): Promise<void> {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const outFile = await bundle({ root, entry: 'src/main.ts', outDir: join(root, 'dist') });
  const { version, commit } = readIdentity(root);
  process.stdout.write(`dist/mcproxy.js ${version} (${commit}), ${Math.ceil(statSync(outFile).size / 1024)} KiB\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
