/**
 * A client of the service in a machine: what its shell has to run to send a message, and what that printed as an answer.
 *
 * Machines differ in how a script gets into them, and whether that is waited for; what is said is the same in all. Speaks
 * 2025-06-18, as most clients do.
 */

/** What a client says first. */
export const OPENING = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
} as const;

export interface PostOptions {
  readonly token: string;
  /** Of a conversation that goes on. */
  readonly session?: string;
  readonly port?: number;
}

/** The shell script that sends a message with curl, which prints head and body of the answer. */
export function postScript(message: unknown, { token, session, port = 3_000 }: PostOptions): string {
  const fields = [
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    ...(session === undefined ? [] : [`Mcp-Session-Id: ${session}`, 'MCP-Protocol-Version: 2025-06-18']),
  ];
  const words = fields.map((field) => `-H '${field}'`).join(' ');
  return `curl -sS -i -X POST ${words} --data '${JSON.stringify(message)}' http://127.0.0.1:${port}/mcp`;
}

export function toolCall(name: string): object {
  return { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name, arguments: {} } };
}

export interface PrintedAnswer {
  readonly status: number;
  /** That the answer opened; empty when it did not. */
  readonly session: string;
  readonly body: string;
}

export function readAnswer(printed: string): PrintedAnswer {
  const [head = '', ...rest] = printed.split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    session: /^mcp-session-id: (\S+)/im.exec(head)?.[1] ?? '',
    body: rest.join('\r\n\r\n'),
  };
}
