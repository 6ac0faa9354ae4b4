/**
 * The files of a configuration read again while it runs, and what of that is no wish of the operator.
 *
 * All files gone, or one that had content and is empty now, is somebody in the middle of something: many editors empty
 * a file before they fill it, and a full disk leaves it so. What was meant cannot be told, so whoever runs keeps what it
 * has and says so; the content is an event of its own when it comes.
 */
import { fileProblem, type LoadedConfig } from './load.ts';
import { sha256 } from './operator-file.ts';

/** Reads and judges by what is in force: what was read `first`, then what was last read without a problem. */
export function readAgain(first: LoadedConfig, read: () => Promise<LoadedConfig>): () => Promise<LoadedConfig> {
  let { digests } = first;
  return async () => {
    const loaded = refuseEmptied(refuseGone(await read()), digests);
    if (loaded.config !== undefined) digests = loaded.digests;
    return loaded;
  };
}

function refuseGone(loaded: LoadedConfig): LoadedConfig {
  if (!loaded.demo) return loaded;
  return refused(loaded, loaded.files[0] ?? '', { text: 'the configuration files are gone', fix: 'put them back' });
}

/** @param before digests of the files in force */
function refuseEmptied(loaded: LoadedConfig, before: ReadonlyMap<string, string>): LoadedConfig {
  const emptied = loaded.files.find((file) => isEmpty(loaded.digests.get(file)) && !isEmpty(before.get(file) ?? EMPTY));
  if (emptied === undefined) return loaded;
  const fix = 'save it again; a file with only a comment is one that means nothing';
  return refused(loaded, emptied, { text: 'the file is empty now, so what was in it stays in force', fix });
}

const EMPTY = sha256('');

function isEmpty(digest: string | undefined): boolean {
  return digest?.endsWith(EMPTY) === true;
}

function refused(loaded: LoadedConfig, file: string, remark: { text: string; fix: string }): LoadedConfig {
  return { ...loaded, config: undefined, problems: [fileProblem(file, remark)] };
}
