/**
 * What a server asks a client, made fit for it. Pure.
 *
 * In a merged view the client sees only mcproxy, so the text says which server asks; a URL is never touched. "This
 * server" and "all servers" mean more behind a gateway than the asking server may have, so such context is refused.
 */
import type { Questions } from '../mcp/questions.ts';
import type { InputRequest, JsonObject } from '../mcp/waist.ts';

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
