/**
 * What stands before a name in the merged catalog: the prefix of its server and two underscores.
 *
 * Two underscores, because single ones are common in names of tools (`read_file`) and the common clients use the same.
 * Which prefix a server has is the operator's word; how names are made and found again is in `mcp/names`. Pure.
 */

const SEPARATOR = '__';

/** What stands before each name. @param prefix empty: names stand alone */
export function prefixText(prefix: string): string {
  return prefix === '' ? '' : `${prefix}${SEPARATOR}`;
}
