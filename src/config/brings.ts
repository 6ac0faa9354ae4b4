/**
 * Whether what one user says about a server holds what each user has to bring for it.
 *
 * What has to be brought is named as it is written: `token`, `env.NAME`, `headers.NAME`. Any credential of the user's own
 * stands for a token or a password; `Authorization` may be written as a header or as a token. Pure.
 */
import type { CredentialSaid } from './credential.ts';
import type { Decoded } from './decode.ts';
import type { SERVER } from './schema.ts';

interface Said {
  readonly fields: Decoded<typeof SERVER>;
  readonly said: CredentialSaid;
}

/** Whether the draft has what a shared server says that each user brings. */
export function brings({ fields, said }: Said, what: string): boolean {
  const [, block, name = ''] = /^(env|headers)\.(.*)$/.exec(what) ?? [];
  if (block === undefined) return said.credential !== undefined || said.oauth !== undefined;
  if (block === 'env') return fields.env?.value.some(([own]) => own === name) ?? false;
  const own = said.credential;
  if (name.toLowerCase() === 'authorization' && (own?.type === 'bearer' || own?.type === 'basic')) return true;
  const headers = own?.type === 'headers' ? [...own.headers, ...said.headers] : said.headers;
  return headers.some(([header]) => header.toLowerCase() === name.toLowerCase());
}
