/**
 * The questions of an `input_required` or of a task: which form they have, and which of them a client may be asked.
 *
 * In the form of 2026-07-28; older capabilities are brought into it before. Undeclared means that nobody there can
 * answer. A mode of elicitation that nobody knows is one that no client has. Pure. Source: MCP 2026-07-28
 * basic/patterns/mrtr; client/elicitation, client/sampling, client/roots: Capabilities.
 */
import { isObject } from './jsonrpc.ts';
import type { InputRequest, JsonObject } from './waist.ts';

export type Questions = Readonly<Record<string, InputRequest>>;

const METHODS: ReadonlySet<string> = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list']);

export function isQuestion(method: unknown): method is InputRequest['method'] {
  return typeof method === 'string' && METHODS.has(method);
}

/** The members of `inputRequests`; undefined when they are not of the protocol. */
export function readQuestions(inputRequests: unknown): Questions | undefined {
  if (!isObject(inputRequests)) return undefined;
  const questions: [key: string, question: InputRequest][] = [];
  for (const [key, value] of Object.entries(inputRequests)) {
    if (!isObject(value) || !isQuestion(value['method'])) return undefined;
    questions.push([key, { method: value['method'], params: isObject(value['params']) ? value['params'] : {} }]);
  }
  return Object.fromEntries(questions);
}

/** Whether a client that declared these capabilities may be asked this. */
export function mayAsk(declared: JsonObject, { method, params }: InputRequest): boolean {
  const { elicitation, sampling, roots } = declared;
  switch (method) {
    case 'roots/list':
      return isObject(roots);
    case 'sampling/createMessage':
      return isObject(sampling) && (!usesTools(params) || isObject(sampling['tools']));
    case 'elicitation/create': {
      const { mode = 'form' } = params;
      if (!isObject(elicitation)) return false;
      // An empty object means forms only.
      if (mode === 'form') return elicitation['form'] !== undefined || elicitation['url'] === undefined;
      return mode === 'url' && elicitation['url'] !== undefined;
    }
  }
}

/** The capabilities that the questions need and the client does not have; undefined when all is well. */
export function missingCapabilities(questions: Questions, declared: JsonObject): JsonObject | undefined {
  const missing = Object.values(questions).filter((question) => !mayAsk(declared, question));
  if (missing.length === 0) return undefined;
  const needed: Record<string, JsonObject> = {};
  for (const [capability, details] of missing.map(neededBy)) needed[capability] = { ...needed[capability], ...details };
  return needed;
}

function neededBy({ method, params }: InputRequest): [capability: string, details: JsonObject] {
  if (method === 'roots/list') return ['roots', {}];
  if (method === 'sampling/createMessage') return ['sampling', usesTools(params) ? { tools: {} } : {}];
  return ['elicitation', params['mode'] === 'url' ? { url: {} } : { form: {} }];
}

function usesTools(params: JsonObject): boolean {
  return params['tools'] !== undefined || params['toolChoice'] !== undefined;
}
