/**
 * The ways a secret is spelled when it travels inside something else.
 *
 * As it is; escaped in JSON (also ASCII-only, or with `\/`); percent-encoded in a URL or a form; in Base64, where
 * the secret may begin at any of three positions of a longer text (the password of `user:password`). Pure.
 * Sources: RFC 8259 §7, RFC 3986 §2.1, RFC 4648 §4 and §5.
 */
import { REDACT_CHARS_MIN } from '../limits.ts';

/** Every distinct spelling that is long enough to be searched for; none for a secret that is too short. */
export function secretForms(secret: string): string[] {
  if (secret.length < REDACT_CHARS_MIN) return [];
  const json = JSON.stringify(secret).slice(1, -1);
  const asciiJson = json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const percent = encodeURIComponent(secret.replace(/\p{Surrogate}/gu, '\ufffd'));
  const strict = percent.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const forms = new Set([secret, json, asciiJson, ...upperHex(asciiJson), json.replaceAll('/', '\\/')]);
  // A JSON text inside a JSON string, as tools return it.
  forms.add(JSON.stringify(json).slice(1, -1));
  for (const url of [percent, strict]) {
    for (const spaced of [url, url.replaceAll('%20', '+')]) {
      forms.add(spaced);
      forms.add(spaced.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()));
    }
  }
  for (const base64 of base64Forms(secret)) {
    forms.add(base64);
    forms.add(base64.replaceAll('+', '-').replaceAll('/', '_'));
    forms.add(base64.replaceAll('/', '\\/'));
    forms.add(encodeURIComponent(base64));
  }
  return [...forms];
}

function upperHex(json: string): string[] {
  return [json.replace(/\\u([0-9a-f]{4})/g, (_, hex: string) => `\\u${hex.toUpperCase()}`)];
}

/**
 * The characters that depend on the secret alone, for each position within a group of three bytes. What stands
 * before and after shares a character with the secret's first and last bits; those are left off.
 */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const first = Math.ceil((before * 8) / 6);
    const end = Math.floor(((before + bytes.length) * 8) / 6);
    return text.slice(first, end);
  });
}
