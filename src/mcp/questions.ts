/**
 * Which questions of an `input_required` a client may be asked, by the capabilities that it declared.
 *
 * In the form of 2026-07-28; older capabilities are brought into it before. Undeclared means that nobody there can
 * answer. Pure. Source: MCP 2026-07-28 client/elicitation, client/sampling, client/roots: Capabilities.
 */
import { isObject } from './jsonrpc.ts';
import type { InputRequest, JsonObject } from './waist.ts';

/** Whether a client that declared these capabilities may be asked this. */
export function mayAsk(capabilities: JsonObject, { method, params }: InputRequest): boolean {
  const { elicitation, sampling, roots } = capabilities;
  switch (method) {
    case 'roots/list':
      return isObject(roots);
    case 'sampling/createMessage': {
      const needsTools = params['tools'] !== undefined || params['toolChoice'] !== undefined;
      return isObject(sampling) && (!needsTools || isObject(sampling['tools']));
    }
    case 'elicitation/create': {
      if (!isObject(elicitation)) return false;
      // An empty object means forms only.
      if (params['mode'] === 'url') return isObject(elicitation['url']);
      return isObject(elicitation['form']) || !isObject(elicitation['url']);
    }
  }
}
