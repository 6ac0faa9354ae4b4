/**
 * `auth` with `type: hmac`, decoded: a preset with its changes, checked so that what goes out can be signed at all.
 *
 * A part of a request that no signer knows, a field that cannot be sent, a secret that is not in the form that it is
 * said to be in, or options that do not go with the preset are problems here, not at the first request.
 */
import type { Credential, SigningScheme } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import { makeSecret } from '../text/secret.ts';
import type { YamlNode } from '../text/yaml.ts';
import { decodeMap, isWritten, own, type Decoded } from './decode.ts';
import { showName } from './problems.ts';
import type { Reading } from './reading.ts';
import { SIGNING } from './schema-signing.ts';
import { SIGNING_PRESETS, TEMPLATE_PARTS } from './signing-presets.ts';

type Said = Decoded<typeof SIGNING>;
type TemplateScheme = Extract<SigningScheme, { kind: 'template' }>;

const PART = /\{([^{}]*)\}/g;
/** RFC 9110 §5.6.2, and what the connection itself sets. */
const FIELD_NAME = /^(?!(?:host|content-length|transfer-encoding|connection)$)[\w!#$%&'*+.^`|~-]+$/i;
/** RFC 9421 §2.1 and §2.2: what a request to an MCP server has. */
const COMPONENT = /^(?:@(?:method|authority|scheme|path|query|request-target|target-uri)|[a-z][a-z\d-]*)$/;

/** The credential; undefined after a problem was reported. */
export function decodeSigning(reading: Reading, node: YamlNode): Credential | undefined {
  const before = reading.problems.errorCount();
  const said = decodeMap({ reading, node }, SIGNING);
  const { secret, key_id: keyId } = said;
  const preset = said.preset?.value ?? 'gocorestack';
  const refuse = (at: YamlNode | undefined, text: string, fix: string): void =>
    reading.problems.error(at, { text, fix });
  const lacks = (name: keyof typeof SIGNING): boolean => said[name] === undefined && !isWritten(node, name);
  if (lacks('secret')) refuse(node, '"auth: {type: hmac}" needs a secret', 'write it under "secret"');
  const scheme = schemeOf(reading, said, SIGNING_PRESETS[preset]);
  if (needsKeyId(scheme) && lacks('key_id')) refuse(node, 'this signature names its key', 'write "key_id"');
  if (keyId !== undefined && !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(keyId.value))
    refuse(keyId.at, 'a "key_id" is visible ASCII without quotes', 'write the name as the server knows it');
  const bare = secret?.value.reveal().replace(preset === 'standard-webhooks' ? /^whsec_/ : /^$/, '') ?? '';
  if (secret !== undefined && bare === '')
    refuse(secret.at, 'the secret is empty', 'write the one that both sides have');
  else if (secret !== undefined && !isEncoded(bare, scheme.secretEncoding))
    refuse(secret.at, `the secret is not in the form ${scheme.secretEncoding}`, 'correct it, or set "secret_encoding"');
  if (reading.problems.errorCount() > before || secret === undefined) return undefined;
  reading.secrets.add(bare);
  return { type: 'hmac', keyId: keyId?.value ?? '', secret: makeSecret(bare), scheme };
}

function schemeOf(reading: Reading, said: Said, preset: SigningScheme): SigningScheme {
  const common = {
    algorithm: said.algorithm?.value ?? preset.algorithm,
    secretEncoding: said.secret_encoding?.value ?? preset.secretEncoding,
  };
  const names = preset.kind === 'template' ? ['components'] : TEMPLATE_ONLY;
  for (const name of names) {
    const misplaced = own(said as Readonly<Record<string, { at: YamlNode } | undefined>>, name);
    if (misplaced !== undefined)
      reading.problems.error(misplaced.at, {
        text: `${showName(name)} does not go with this preset`,
        fix: preset.kind === 'template' ? 'delete it, or set "preset: rfc9421"' : 'delete it, or set another preset',
      });
  }
  if (preset.kind === 'template') return templateOf(reading, said, { ...preset, ...common });
  for (const component of said.components?.value ?? []) {
    if (COMPONENT.test(component)) continue;
    const text = 'this component cannot be covered';
    const fix =
      'write a header field in lower case, or @method @authority @scheme @path @query @request-target @target-uri';
    reading.problems.error(said.components?.at, { text, fix });
  }
  return { ...preset, ...common, components: said.components?.value ?? preset.components };
}

const TEMPLATE_ONLY = ['algorithm', 'encoding', 'timestamp', 'string', 'headers', 'unsigned_payload'] as const;

function templateOf(reading: Reading, said: Said, preset: TemplateScheme): TemplateScheme {
  const headers = said.headers?.value.map(([name, value]) => [name, value.reveal()] as const) ?? preset.headers;
  checkParts(reading, said.string?.value ?? '', { at: said.string?.at, sent: false });
  for (const [name, value] of headers) {
    if (!FIELD_NAME.test(name)) {
      const text = `${showName(name)} cannot be the name of a header field here`;
      reading.problems.error(said.headers?.at, { text, fix: 'write another name' });
    }
    checkParts(reading, value, { at: said.headers?.at, sent: true });
  }
  if (!headers.some(([, value]) => value.includes('{signature}'))) {
    reading.problems.error(said.headers?.at, {
      text: 'no header field carries the signature',
      fix: 'write {signature} into the value of one',
    });
  }
  return {
    ...preset,
    headers,
    text: said.string?.value ?? preset.text,
    encoding: said.encoding?.value ?? preset.encoding,
    timestamp: said.timestamp?.value ?? preset.timestamp,
    unsignedPayload: said.unsigned_payload?.value ?? preset.unsignedPayload,
  };
}

/** @param sent the text is the value of a field, which may hold the signature and no line break */
function checkParts(
  reading: Reading,
  text: string,
  { at, sent }: { readonly at: YamlNode | undefined; readonly sent: boolean },
): void {
  const known: readonly string[] = sent ? [...TEMPLATE_PARTS, 'signature'] : TEMPLATE_PARTS;
  for (const [, part = ''] of text.matchAll(PART)) {
    if (known.includes(part) && !(sent && part === 'body')) continue;
    const nearest = findNearest(part, known);
    reading.problems.error(at, {
      text: `nothing of a request is called {${/^[\w-]{1,40}$/.test(part) ? part : '…'}} here`,
      fix:
        nearest === undefined
          ? `write one of ${known.map((each) => `{${each}}`).join(' ')}`
          : `did you mean {${nearest}}?`,
    });
  }
  if (sent && !/^[\t\x20-\x7e]*$/.test(text)) {
    reading.problems.error(at, { text: 'a header field cannot carry this value', fix: 'write printable ASCII' });
  }
}

function needsKeyId(scheme: SigningScheme): boolean {
  if (scheme.kind === 'message-signatures') return true;
  return [scheme.text, ...scheme.headers.map(([, value]) => value)].some((text) => text.includes('{key_id}'));
}

function isEncoded(secret: string, encoding: SigningScheme['secretEncoding']): boolean {
  if (encoding === 'text') return true;
  if (encoding === 'hex') return /^(?:[\da-f]{2})+$/i.test(secret);
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(secret);
}
