/**
 * What is promised about access: who may do what, how much of it, and how an operator finds out why.
 *
 * A part of `requirements.ts`, in a file of its own because it is long. Source: README, sections on access and limits.
 */
export const ACCESS_CASES = {
  'access.servers': 'Servers are allowed and denied by patterns over their names; what is denied is denied.',
  'access.roles': 'Roles are bundles of rules; those of a user and of all their roles add up, and deny wins.',
  'access.whitelist': 'Lists of clients and their allowed tools of other programs restrict those clients.',
  'access.scopes': 'Scopes of API keys grant servers and tools; what they do not name they do not grant.',
  'access.check': '`check` warns about users whose rules leave nothing, and about expired tokens.',
  'access.tokens': 'A user has several tokens with labels, terms and networks, in short and long forms.',
  'access.rules': 'A rule is judged by the name in the merged catalog, on every URL.',
  'access.exact': 'What a list shows is exactly what can be called, for any rules and any tools.',
  'access.everywhere': 'What the rules deny can be seen and used through no URL, era or method.',
  'access.log':
    'A denied call answers that there is no such thing, and its entry says ACCESS_DENIED and where it would go.',
  'access.private': 'Lists of a restricted user are for no shared cache.',
  'access.reload': 'Changed rules hold from the next request on, and clients are told that lists changed.',
  'access.terms': 'A token out of its terms is answered like an unknown one; log and diag say what was wrong.',
  'access.expiry': 'An expired token ends its open streams within a minute, without a reload.',
  'access.token-edit':
    '`token add` gives a user one more token with a label and terms, `token revoke --label` takes it away.',
  'limits.config': 'Limits are set for all users, roles, users, servers and tools; the nearest word counts.',
  'limits.buckets':
    'A rate lets a burst through and then so many in its time; several limits are taken together or not at all.',
  'limits.user':
    'Requests over the rate of a user are 429 with Retry-After and one entry; other users are not affected.',
  'limits.calls': 'Calls over a limit of a server, a tool or in progress are JSON-RPC errors with data.retry_after_ms.',
  'limits.relay': 'The limit of a relayed server holds too.',
  'limits.logins': 'Failed logins are slowed by address, twice as long each time; a valid token is let in at any time.',
  'limits.addresses': 'Many addresses neither grow the table of failed logins nor push others out of it.',
  'why.answers':
    '`why` names tokens, the deciding rule with its place, the masked credential, both names and the state.',
  'why.unknown': 'While a server that may have the name is down, `why` says that it cannot know.',
  'why.files': '`why` answers from the files when no service runs.',
  'why.exit': '`why` is exit 0 for allowed and 1 for denied or unknown, and names what is near.',
} as const;
