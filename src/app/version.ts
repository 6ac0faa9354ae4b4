/**
 * Which mcproxy this is: version and commit.
 *
 * `build/bundle.ts` replaces both names at build time, so the bundle reads no file for them and package.json is
 * not part of it. Run from source there is nothing to replace: the version comes from package.json, and the
 * commit says `source`, because a working tree may differ from any commit.
 */
import packageJson from '../../package.json' with { type: 'json' };

declare const __MCPROXY_VERSION__: string | undefined;
declare const __MCPROXY_COMMIT__: string | undefined;

/** Semantic version, as in package.json. */
export const VERSION: string = typeof __MCPROXY_VERSION__ === 'string' ? __MCPROXY_VERSION__ : packageJson.version;

/** Twelve hex digits, with `-dirty` when the tree had changes; `unknown` outside git; `source` when not built. */
export const COMMIT: string = typeof __MCPROXY_COMMIT__ === 'string' ? __MCPROXY_COMMIT__ : 'source';
