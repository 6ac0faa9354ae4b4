/**
 * `verifies(id, title, fn)`: a node:test test that is tied to what mcproxy promises (test/requirements.ts).
 *
 * A misspelt id throws when the test is registered, not when it runs. Write ids out as literals: the house test
 * reads them from the text to find promises without a test.
 */
import { test, type TestContext, type TestOptions } from 'node:test';
import { REQUIREMENTS, type RequirementId } from '../requirements.ts';

/**
 * Registers a test against one requirement or several.
 *
 * @throws {Error} when an id is unknown
 */
// Four parameters, so that a call reads like node:test's own with the id in front.
// oxlint-disable-next-line max-params
export function verifies(
  ids: RequirementId | readonly RequirementId[],
  title: string,
  run: (context: TestContext) => void | Promise<void>,
  options: TestOptions = {},
): void {
  for (const id of typeof ids === 'string' ? [ids] : ids) {
    if (!Object.hasOwn(REQUIREMENTS, id)) throw new Error(`unknown requirement ${id}: add it to test/requirements.ts`);
  }
  // node:test collects the promise itself.
  void test(title, options, run);
}
