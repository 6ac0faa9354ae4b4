/**
 * What a server asks a client in `input_required`, checked and made fit for it. Pure.
 *
 * A kind of question that the client did not declare is never relayed (MCP 2026-07-28 basic/patterns/mrtr). In a
 * merged view the client sees only mcproxy, so the text says which server asks; a URL is never touched. "This server"
 * and "all servers" mean more behind a gateway than the asking server may have, so such context is refused.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import type { InputRequest, JsonObject } from '../mcp/waist.ts';

export type Questions = Readonly<Record<string, InputRequest>>;

/** The capabilities that the questions need and the client does not have; undefined when all is well. */
export function missingCapabilities(questions: Questions, declared: JsonObject): JsonObject | undefined {
  const missing = Object.values(questions).flatMap((question) => {
    const needed = neededBy(question);
    return has(declared, needed) ? [] : [needed];
  });
  return missing.length === 0 ? undefined : Object.assign({}, ...missing);
}

/** @param asker the server to name; undefined where the client knows */
export function presentQuestions(questions: Questions, asker: string | undefined): Questions {
  return Object.fromEntries(
    Object.entries(questions).map(([key, question]) => [key, { ...question, params: presented(question, asker) }]),
  );
}

function presented({ method, params }: InputRequest, asker: string | undefined): JsonObject {
  const { message, includeContext } = params;
  if (method === 'elicitation/create' && asker !== undefined && typeof message === 'string') {
    return { ...params, message: `[${asker}] ${message}` };
  }
  const widens =
    method === 'sampling/createMessage' && (includeContext === 'thisServer' || includeContext === 'allServers');
  return widens ? { ...params, includeContext: 'none' } : params;
}

function neededBy({ method, params }: InputRequest): JsonObject {
  if (method === 'roots/list') return { roots: {} };
  if (method === 'sampling/createMessage') {
    return { sampling: params['tools'] === undefined ? {} : { tools: {} } };
  }
  return { elicitation: params['mode'] === 'url' ? { url: {} } : { form: {} } };
}

function has(declared: JsonObject, needed: JsonObject): boolean {
  return Object.entries(needed).every(([capability, details]) => {
    const own = declared[capability];
    if (!isObject(own) || !isObject(details)) return false;
    const names = Object.keys(details);
    // `elicitation: {}` means forms (MCP 2025-11-25 client/elicitation, Capabilities).
    if (capability === 'elicitation' && names[0] === 'form')
      return own['form'] !== undefined || own['url'] === undefined;
    return names.every((name) => own[name] !== undefined);
  });
}
