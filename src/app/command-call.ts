/**
 * `mcproxy call`: one tool call from the command line, for trying a server out and for scripts.
 *
 * On stdout stands what the tool answered and nothing else; progress, questions and errors go to stderr. Exit 1: the
 * tool itself reports an error; other codes are those of `local-command`. A question of the server is asked where
 * somebody can answer; elsewhere it is not declared, so the server is refused it and the message says what is missing.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import { RPC_ERROR } from '../mcp/protocol.ts';
import type { InputRequest, JsonObject } from '../mcp/waist.ts';
import { findNearest } from '../text/nearest.ts';
import { askPerson, PERSON_CAPABILITIES } from './ask-person.ts';
import { readArguments } from './call-arguments.ts';
import { printResult } from './call-output.ts';
import { EXIT, JSON_OPTION, flagOption, textOption, usageError, type Command, type Invocation } from './command.ts';
import { LOCAL_NOTES, LOCAL_OPTIONS, printable, reportRefusal, withServers, type Session } from './local-command.ts';
import type { LocalAnswer } from './local-requests.ts';

const TOOL_FAILED = 1;

export const callCommand: Command = {
  name: 'call',
  synopsis: 'TOOL [JSON | @FILE | - | NAME=TEXT NAME:=JSON ...] [--user NAME] [--server NAME] [--json]',
  summary: 'Calls a tool and prints what it answers',
  options: {
    server: { type: 'string', value: 'NAME', help: 'TOOL is the name that this server itself has for it' },
    json: { ...JSON_OPTION, help: 'print the result as JSON, as it came' },
    ...LOCAL_OPTIONS,
  },
  positionals: { min: 1, max: 64 },
  notes: [
    'Examples:\n  mcproxy call files__read_text_file path=/srv/notes.txt\n  mcproxy call files__search_files \'{"path": "/srv", "pattern": "*.md"}\' --json\n  mcproxy call add a:=2 b:=3 --server calc\n  echo \'{"path": "/srv"}\' | mcproxy call files__list_directory -',
    'Exit code 1: the tool reports an error.',
    ...LOCAL_NOTES,
  ],
  async run(invocation) {
    const [name = '', ...words] = invocation.positionals;
    const args = await readArguments(words, invocation.stdin);
    if (typeof args === 'string') return usageError(invocation.stderr, args);
    return withServers(invocation, (session) => call(invocation, session, { name, arguments: args }));
  },
};

interface ToolCall {
  readonly name: string;
  readonly arguments: JsonObject;
}

async function call(invocation: Invocation, session: Session, params: ToolCall): Promise<number> {
  const server = textOption(invocation, 'server');
  const answer = await converse(invocation, session, { ...params });
  const { response } = answer;
  if ('error' in response) {
    const { code } = response.error;
    const hint = code === RPC_ERROR.invalidParams ? await nearestTool(session, server, params.name) : undefined;
    if (hint !== undefined) {
      invocation.stderr.write(`mcproxy: there is no tool "${printable(params.name)}"${hint}\n`);
      return EXIT.usage;
    }
    return reportRefusal(invocation, response);
  }
  const { result } = response;
  const text = flagOption(invocation, 'json') ? `${JSON.stringify(resultOf(result))}\n` : printResult(result);
  invocation.stdout.write(invocation.stdout.isTTY === true ? printable(text) : text);
  if (result['isError'] !== true) return EXIT.ok;
  invocation.stderr.write('mcproxy: the tool reports an error\n');
  return TOOL_FAILED;
}

/** Calls, and calls again with the answers as long as the server asks. */
async function converse(invocation: Invocation, session: Session, first: JsonObject): Promise<LocalAnswer> {
  const { stdin, stderr } = invocation;
  const person = stdin?.isTTY === true && stderr.isTTY === true ? stdin : undefined;
  const question = {
    method: 'tools/call',
    server: textOption(invocation, 'server'),
    clientCapabilities: person === undefined ? {} : PERSON_CAPABILITIES,
  };
  const events = { onProgress: (params: JsonObject) => showProgress(invocation, params) };
  let params = first;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- each call takes the answers to the one before
    const answer = await session.ask({ ...question, params }, events);
    const { response } = answer;
    if (person === undefined || 'error' in response || response.result['resultType'] !== 'input_required')
      return answer;
    const { inputRequests, requestState } = response.result;
    const terminal = { input: person, output: process.stderr };
    // oxlint-disable-next-line no-await-in-loop -- one conversation
    const inputResponses = await session.pause(() =>
      askPerson(inputRequests as Readonly<Record<string, InputRequest>>, terminal),
    );
    params = { ...first, inputResponses, ...(requestState === undefined ? {} : { requestState }) };
  }
}

function showProgress({ stderr }: Invocation, { progress, total, message }: JsonObject): void {
  if (stderr.isTTY !== true) return;
  const share = typeof total === 'number' && total > 0 ? `/${total}` : '';
  const text = typeof message === 'string' ? ` ${message}` : '';
  stderr.write(`${printable(`progress ${String(progress)}${share}${text}`)}\n`);
}

/** What to say of a name that no server has; undefined when there is such a tool. */
async function nearestTool(session: Session, server: string | undefined, name: string): Promise<string | undefined> {
  const { response } = await session.ask({ method: 'tools/list', params: {}, server });
  if ('error' in response || !Array.isArray(response.result['tools'])) return undefined;
  const names = response.result['tools'].filter(isObject).map((tool) => String(tool['name']));
  if (names.includes(name)) return undefined;
  const nearest = findNearest(name, names) ?? names.find((candidate) => candidate.endsWith(`__${name}`));
  return nearest === undefined ? '; `mcproxy tools` shows all' : `; did you mean "${nearest}"?`;
}

/** As the server sent it: what mcproxy put in for the way is taken off. */
function resultOf({ resultType: _type, _meta, ...result }: JsonObject): JsonObject {
  const own = isObject(_meta)
    ? Object.entries(_meta).filter(([key]) => !key.startsWith('io.modelcontextprotocol/'))
    : [];
  return own.length === 0 ? result : { ...result, _meta: Object.fromEntries(own) };
}
