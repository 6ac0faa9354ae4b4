/**
 * The cases that a gateway between the eras of MCP has to get right, by the number that they have in our digest of the
 * specification: a request of a client (D), a server behind the gateway (U), and what has to follow.
 *
 * Part of the requirements (`requirements.ts`): a case without a test fails the house test. A case that is not here is
 * not claimed; why is said beside its number.
 */
export const PROTOCOL_CASES = {
  'protocol.case-01': 'server/discover names 2026-07-28 and says how long the answer may be kept.',
  'protocol.case-02': 'A modern request without any _meta is 400 with -32602 and its id.',
  'protocol.case-03': 'An envelope without a protocol version is 400 with -32602.',
  'protocol.case-04': 'An envelope without client capabilities is 400 with -32602.',
  'protocol.case-05': 'An envelope without clientInfo is served.',
  'protocol.case-06': 'A version header that differs from the envelope is 400 with -32020.',
  'protocol.case-07': 'A version that is not served is 400 with -32022 and names those that are.',
  'protocol.case-08': 'A valid envelope without the version header is 400 with -32020.',
  'protocol.case-09': 'Mcp-Method that is missing or in another case is 400 with -32020.',
  'protocol.case-10': 'The names of mirrored headers have no case.',
  'protocol.case-11': 'Mcp-Name that is missing or differs is 400 with -32020.',
  'protocol.case-12': 'Blanks around Mcp-Name do not count.',
  'protocol.case-13': 'An encoded Mcp-Name is decoded, bad padding is -32020, a marker in capitals is literal.',
  'protocol.case-14': 'Mcp-Name sent twice is 400 with -32020 and reaches no server.',
  'protocol.case-15': 'The Mcp-Name that a server gets is its own URI and name, not the exposed one.',
  'protocol.case-16':
    'A missing Mcp-Param of an argument that is there is -32020; without the argument none is wanted.',
  'protocol.case-17': 'An integer in Mcp-Param is compared by its value.',
  'protocol.case-18': 'An Mcp-Param that no tool declares is ignored.',
  'protocol.case-19': 'Methods that 2026-07-28 removed are 404 with -32601.',
  'protocol.case-20': 'An unknown method is 404 with a JSON-RPC error, not a page.',
  'protocol.case-21': 'A batch or a response is 400 with -32600.',
  'protocol.case-22': 'GET and DELETE of a modern client are 405.',
  'protocol.case-23': 'Session and event ids on a modern request are ignored, and none is given.',
  'protocol.case-24': 'A foreign Origin is 403 before any server is asked, no Origin is served, `null` is 403.',
  'protocol.case-25': 'A foreign Host on loopback is 4xx.',
  'protocol.case-26': 'Every result says its type, and the cacheable ones their freshness, also of older servers.',
  'protocol.case-27': 'A tool that needs what the client did not declare is 400 with -32021 and names it.',
  'protocol.case-28': 'No event of an answer to a modern client is a request.',
  'protocol.case-29': 'Without a log level no log message comes.',
  'protocol.case-30': 'An unknown log level is -32602.',
  'protocol.case-31': 'A stream is not buffered: events arrive before the server has finished.',
  'protocol.case-32': 'A client that closes its stream cancels at the server, in the words of its era.',
  'protocol.case-33': 'Two clients with the same ids and tokens see nothing of each other.',
  'protocol.case-34': 'An id comes back with its JSON type.',
  'protocol.case-35': 'A subscription is confirmed first, with the id of its request in value and type.',
  'protocol.case-36': 'The confirmation leaves out what no server supports; an empty one keeps the stream open.',
  'protocol.case-37': 'Changes that were not asked for are not told.',
  'protocol.case-38': 'Changes of several servers at once are told once, and lists are fresh by then.',
  'protocol.case-39': 'Each server is asked only for its own resources, and updates name exposed URIs.',
  'protocol.case-40': 'A stop ends subscriptions with their closing results.',
  'protocol.case-42': 'After the restart of a server its subscriptions are made again and one change is told.',
  'protocol.case-43': 'A silent subscription gets comments and is cut by no timeout.',
  'protocol.case-44': 'A question passes with its keys and params, and the retry brings the server its own state back.',
  'protocol.case-45': 'A question without a state is retried without one.',
  'protocol.case-46': 'A question of a state alone is relayed.',
  'protocol.case-47':
    'A state that is altered, old, of another user or of another request is -32602 and reaches no server.',
  'protocol.case-48': 'A question in answer to a list is an invalid answer.',
  'protocol.case-49': 'A result of a kind that nobody knows is an error and not relayed.',
  'protocol.case-50': 'What a client did not declare is not asked of it; it gets an error.',
  'protocol.case-51': 'The result of a retry is not kept.',
  'protocol.case-85':
    'A question of an older server ends the request; the retry goes on with the same call at the server.',
  'protocol.case-86': 'A parked call that nobody comes back to is answered and cancelled at the server in time.',
  'protocol.case-87': 'A question of an older server that belongs to no one call is refused, and nobody is asked.',
  'protocol.case-88':
    'A question of a modern server is a request on the stream of the call; no and never have their forms.',
  'protocol.case-89': 'A page to visit gets an id for a client of 2025-11-25, and is never shown to an older one.',
  'protocol.case-90': 'Error numbers of older revisions are said in the modern form.',
  'protocol.case-91': 'A task goes only to who declared tasks; for an older client it is followed to its result.',
  'protocol.case-92':
    'Ids of tasks differ between servers, the servers get their own, and other users cannot use them.',
} as const;
