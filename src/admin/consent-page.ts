/**
 * The pages of a login: the one on which a person pastes their token, the way back to the client, and what went wrong.
 *
 * Plain HTML without scripts; whatever somebody else wrote is escaped, and the policy of the page forbids all but its one
 * style. The way back is a page of its own that leads on, not a redirect: browsers hold a form, over every redirect that
 * follows, to where the page allows forms to go, and a client may send its user on to an origin that nobody here knows.
 * The form is sent with its origin (`same-origin`; with `no-referrer` browsers say "null"), and no address of ours is
 * told to anybody else. Pure.
 */
import { hash } from 'node:crypto';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.4rem}dl{border:1px solid #bbb;border-radius:6px;padding:.6rem 1rem}dt{color:#555;font-size:.9rem}
dd{margin:0 0 .5rem;font-weight:600;overflow-wrap:anywhere}.big{font-size:1.25rem}.wrong{color:#a00;font-weight:600}
input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem;margin:.3rem 0 1rem}
button{font:inherit;padding:.5rem 1.4rem;margin-right:.6rem}`;

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

/** Of every page. */
export const PAGE_FIELDS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': POLICY,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
};

export interface Consent {
  /** Path of the form. */
  readonly action: string;
  /** Sealed; the form carries it back. */
  readonly request: string;
  /** What the client calls itself; may be empty. */
  readonly clientName: string;
  /** The host that vouches for the client; undefined: nobody does. */
  readonly clientHost: string | undefined;
  readonly returnsTo: { readonly name: string; readonly isLocal: boolean };
  /** The host of this service. */
  readonly service: string;
  /** The one server it is about; empty: all that the person may use. */
  readonly server: string;
  /** What was wrong with the token that was sent before. */
  readonly wrong: string | undefined;
}

export function consentPage(about: Consent): string {
  const name = about.clientName === '' ? 'A client without a name' : about.clientName;
  const what =
    about.server === ''
      ? `all MCP servers that you may use at <b>${escape(about.service)}</b>`
      : `the MCP server <b>${escape(about.server)}</b> at <b>${escape(about.service)}</b>`;
  const who =
    about.clientHost === undefined
      ? 'It chose this name itself, and nobody has checked it.'
      : `Its description is published at ${escape(about.clientHost)}.`;
  const { returnsTo } = about;
  const place = returnsTo.isLocal ? `${returnsTo.name} (a program on your own device)` : returnsTo.name;
  return layout(
    'Allow access?',
    `<h1>Allow access for “${escape(name)}”?</h1>
<p>It asks to use, in your name, ${what}. Whatever you can see and change there it can see and change too, until your
token is revoked.</p>
<dl><dt>Your browser will return to</dt><dd class="big">${escape(place)}</dd>
<dt>Who asks</dt><dd>${escape(name)}</dd><dt></dt><dd>${who}</dd></dl>
<p>Go on only when you have just started this yourself and know that address.</p>
${about.wrong === undefined ? '' : `<p class="wrong" role="alert">${escape(sentence(about.wrong))}</p>\n`}<form method="post" action="${escape(about.action)}">
<input type="hidden" name="request" value="${escape(about.request)}">
<label>Your token
<input type="password" name="token" required autofocus autocomplete="off" spellcheck="false" autocapitalize="none"></label>
<p>It is the token that you were given for this service. The client does not get to see it.</p>
<button name="decision" value="allow">Allow</button><button name="decision" value="deny" formnovalidate>Cancel</button>
</form>`,
  );
}

/** Leads on to the client by itself, and by a link where a browser does not. @param url made by us from a registered URI */
export function returnPage(url: string, place: string): string {
  const refresh = `<meta http-equiv="refresh" content="0;url=${escape(url)}">`;
  return layout(
    'Going back',
    `<h1>Going back to ${escape(place)}</h1><p><a href="${escape(url)}" rel="noreferrer">Continue</a> if nothing happens.</p>`,
    refresh,
  );
}

/**
 * What went wrong. A way back that was asked for by whoever wrote the link is taken only by a click: anybody may register
 * a client, so that this would send people anywhere in the name of the service (RFC 9700 §4.11.2).
 */
export function problemPage(text: string, back?: { readonly url: string; readonly place: string }): string {
  const link =
    back === undefined
      ? '<p>Start again in the client, or ask whoever runs this service.</p>'
      : `<p><a href="${escape(back.url)}" rel="noreferrer">Tell the client, and go back to ${escape(back.place)}</a></p>`;
  return layout('This login does not work', `<h1>This login does not work</h1><p>${escape(sentence(text))}</p>${link}`);
}

function layout(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">${head}<title>${escape(title)} – mcproxy</title><style>${STYLE}</style></head>
<body>
${body}
</body></html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
