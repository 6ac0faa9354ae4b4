/**
 * Completions for bash, zsh and fish, made from the tables of the command line.
 *
 * They offer commands, the second word of command groups, options, and file names after options that take a file or
 * directory. What stands in files (users, servers) is not offered: the shell's user may not read them.
 */
import { COMMANDS } from '../src/app/cli.ts';
import type { Command, OptionSpec } from '../src/app/command.ts';

const SUMMARY_OF_GROUP: Readonly<Record<string, string>> = { token: 'Users and their tokens' };

interface Word {
  readonly name: string;
  readonly summary: string;
  /** The commands below it: itself, or the members of a group. */
  readonly commands: readonly Command[];
}

function firstWords(): Word[] {
  const names = [...new Set(COMMANDS.map(({ name }) => firstWord(name)))];
  return names.map((name) => {
    const commands = COMMANDS.filter((command) => firstWord(command.name) === name);
    const summary = SUMMARY_OF_GROUP[name] ?? commands[0]?.summary ?? '';
    return { name, summary, commands };
  });
}

function firstWord(name: string): string {
  return name.split(' ')[0] ?? name;
}

function secondWord(command: Command): string | undefined {
  return command.name.split(' ')[1];
}

function takesPath(spec: OptionSpec): boolean {
  return spec.type === 'string' && /FILE|DIR|PATH/.test(spec.value ?? '');
}

function optionsOf(command: Command): [name: string, spec: OptionSpec][] {
  return [...Object.entries(command.options), ['help', { type: 'boolean', help: 'print this text' }]];
}

/** For /usr/share/bash-completion/completions/mcproxy. */
export function bashCompletion(): string {
  const words = firstWords();
  const groups = words.filter(({ commands }) => commands.some((command) => secondWord(command) !== undefined));
  const cases = COMMANDS.map((command) => {
    const options = optionsOf(command).map(([name]) => `--${name}`);
    return `    '${command.name}') words='${options.join(' ')}' ;;`;
  });
  const paths = new Set(
    COMMANDS.flatMap((command) => optionsOf(command).filter(([, spec]) => takesPath(spec))).map(
      ([name]) => `--${name}`,
    ),
  );
  const values = new Set(
    COMMANDS.flatMap((command) =>
      optionsOf(command).filter(([, spec]) => spec.type === 'string' && !takesPath(spec)),
    ).map(([name]) => `--${name}`),
  );
  return `# bash completion for mcproxy, made from its command tables
_mcproxy() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} words=
  case $prev in
    ${[...paths].join('|')}) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames; return ;;
    ${[...values].join('|')}) return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${[...words.map(({ name }) => name), '--help', '--version'].join(' ')}' -- "$cur"))
    return
  fi
  case $command in
${groups
  .map(
    ({ name, commands }) =>
      `    ${name})\n      if [ "$COMP_CWORD" -eq 2 ]; then\n        COMPREPLY=($(compgen -W '${commands.map((command) => secondWord(command) ?? '').join(' ')}' -- "$cur"))\n        return\n      fi\n      command="$command \${COMP_WORDS[2]}" ;;`,
  )
  .join('\n')}
  esac
  case $command in
${cases.join('\n')}
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames ;;
  esac
}
complete -F _mcproxy mcproxy
`;
}

/** For /usr/share/zsh/vendor-completions/_mcproxy. */
export function zshCompletion(): string {
  const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const bracket = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&');
  const describe = (items: readonly (readonly [string, string])[]): string =>
    items.map(([name, summary]) => quote(`${name}:${summary.replaceAll(':', '\\:')}`)).join(' ');
  const argumentsOf = (command: Command): string =>
    optionsOf(command)
      .map(([name, spec]) => {
        const value =
          spec.type === 'boolean' ? '' : `:${bracket(spec.value ?? 'VALUE')}:${takesPath(spec) ? '_files' : ''}`;
        return quote(`${spec.multiple === true ? '*' : ''}--${name}[${bracket(spec.help)}]${value}`);
      })
      .join(' ');
  const words = firstWords();
  const branches = words.map(({ name, commands }) => {
    const [only] = commands;
    if (only !== undefined && secondWord(only) === undefined)
      return `    ${name}) _arguments ${argumentsOf(only)} '*:file:_files' ;;`;
    const members = commands.map((command) => [secondWord(command) ?? '', command.summary] as const);
    const inner = commands.map(
      (command) => `        ${secondWord(command) ?? ''}) _arguments ${argumentsOf(command)} ;;`,
    );
    return `    ${name})
      if (( CURRENT == 3 )); then
        commands=(${describe(members)})
        _describe command commands
        return
      fi
      words[1,2]=(mcproxy); (( CURRENT-- ))
      case $words[2] in
${inner.join('\n')}
      esac ;;`;
  });
  return `#compdef mcproxy
# zsh completion for mcproxy, made from its command tables
_mcproxy() {
  local -a commands
  if (( CURRENT == 2 )); then
    commands=(${describe(words.map(({ name, summary }) => [name, summary] as const))})
    _describe command commands
    _arguments '--help[print help]' '--version[print the version]'
    return
  fi
  case $words[2] in
${branches.join('\n')}
  esac
}
_mcproxy "$@"
`;
}

/** For /usr/share/fish/vendor_completions.d/mcproxy.fish. */
export function fishCompletion(): string {
  const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = ['# fish completion for mcproxy, made from its command tables', 'complete -c mcproxy -f'];
  for (const { name, summary, commands } of firstWords()) {
    lines.push(`complete -c mcproxy -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`);
    const members = commands.map(secondWord).filter((word) => word !== undefined);
    for (const command of commands) {
      const second = secondWord(command);
      let when = `__fish_seen_subcommand_from ${name}`;
      if (second !== undefined) {
        const unchosen = `${when}; and not __fish_seen_subcommand_from ${members.join(' ')}`;
        lines.push(`complete -c mcproxy -n ${quote(unchosen)} -a ${second} -d ${quote(command.summary)}`);
        when = `${when}; and __fish_seen_subcommand_from ${second}`;
      }
      for (const [option, spec] of optionsOf(command)) {
        const value = spec.type === 'boolean' ? '' : takesPath(spec) ? ' -r -F' : ' -x';
        lines.push(`complete -c mcproxy -n ${quote(when)} -l ${option}${value} -d ${quote(spec.help)}`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}
