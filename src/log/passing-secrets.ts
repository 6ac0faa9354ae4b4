/**
 * Secrets that come and go while the process runs: access tokens of servers and what renews them.
 *
 * They are kept out of everything that is written like those of the files (`redact.ts`), in the same spellings, from when
 * they are added until they are let go of.
 */
import { PASSING_SECRET_COUNT_MAX } from '../limits.ts';
import { makeMatcher, type Matcher } from './match.ts';
import { secretForms } from './secret-forms.ts';

export interface PassingSecrets {
  /** Hides a text from now on, until the returned function is called. */
  hide(text: string): () => void;
  /** The text with each of them replaced by the mark. */
  replace(text: string, mark: string): string;
}

export function holdPassingSecrets(): PassingSecrets {
  // Bounded by PASSING_SECRET_COUNT_MAX: the oldest goes, which only a fault elsewhere can bring about.
  const held = new Map<object, readonly string[]>();
  let matcher: Matcher | undefined;
  return {
    hide(text) {
      const key = {};
      const [oldest] = held.keys();
      if (oldest !== undefined && held.size >= PASSING_SECRET_COUNT_MAX) held.delete(oldest);
      held.set(key, secretForms(text));
      matcher = undefined;
      return () => {
        if (held.delete(key)) matcher = undefined;
      };
    },
    replace(text, mark) {
      if (held.size === 0) return text;
      // Made when something is written, not with each token.
      matcher ??= makeMatcher([...new Set([...held.values()].flat())].filter((form) => !mark.includes(form)));
      return matcher.replace(text, mark);
    },
  };
}
