/**
 * Sealed handles: state that a client carries for us and can neither read nor change.
 *
 * AES-256-GCM with a random 96-bit nonce; the context (purpose, principal, …) is authenticated but not stored, so
 * that a handle opens only where and for whom it was made. Text form is base64url, safe in URLs and in
 * `Mcp-Session-Id` (visible ASCII).
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

export interface Sealer {
  seal(text: string, context: string): string;
  /** The text, or undefined when the handle is foreign, altered, or of another context. */
  open(handle: string, context: string): string | undefined;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SHAPE = /^[A-Za-z0-9_-]{38,8192}$/;

/** @param key any high-entropy bytes; the AES key is derived from them */
export function makeSealer(key: Uint8Array): Sealer {
  const aesKey = createHash('sha256').update('mcproxy seal 1\0').update(key).digest();
  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', aesKey, nonce).setAAD(Buffer.from(context, 'utf8'));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url');
    },
    open(handle, context) {
      if (!SHAPE.test(handle)) return undefined;
      const bytes = Buffer.from(handle, 'base64url');
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv('aes-256-gcm', aesKey, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context, 'utf8')).setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const body = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch {
        return undefined; // authentication failed
      }
    },
  };
}
