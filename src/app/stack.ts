/**
 * What was thrown, in the words that help most: the stack where there is one.
 *
 * For the diagnostic log and the last words of a command only; a stack never reaches a client. Whoever prints it has
 * it redacted.
 */

export function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
