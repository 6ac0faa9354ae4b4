/**
 * The operator's files as the options `--config` and `--tokens` of a command name them.
 *
 * One place, so that every command which looks at the files without starting the service finds the same ones. What
 * is read, and where from when nothing is named, is the rule of `load.ts`.
 */
import { textOption, type Invocation } from './command.ts';
import { loadConfig, type LoadedConfig, type LoadOptions } from './load.ts';

/** @param substitute takes the place of one file's text: a change is judged before it is written */
export function loadNamed(invocation: Invocation, substitute?: LoadOptions['substitute']): Promise<LoadedConfig> {
  return loadConfig({
    configPath: textOption(invocation, 'config'),
    tokensPath: textOption(invocation, 'tokens'),
    env: invocation.env,
    overrides: {},
    ...(substitute === undefined ? {} : { substitute }),
  });
}
