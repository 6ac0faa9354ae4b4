/**
 * What mcproxy promises about trust: who may do what, and how it proves itself to servers; a part of the table of
 * `requirements.ts`, whose rules hold here.
 *
 * Apart only because one file would be too long.
 */

/** Signed requests. */
export const SIGNING = {
  'signing.accepted': 'A validator of each scheme accepts the requests of the relay and of the gateway.',
  'signing.attempts': 'Each attempt is signed anew.',
  'signing.long-body': 'A body too long to be held is refused where the signature covers it, and streams elsewhere.',
  'signing.environment': 'MCP_UPSTREAM_URL, MCP_API_KEY and MCP_API_SECRET start a local signing proxy without a file.',
} as const;
