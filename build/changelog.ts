/**
 * CHANGELOG.md in the form that Debian's tools read: one entry per released version, one item per point.
 *
 * The headings within a version (Security, Added) are left out; their order stays. @see deb-changelog(5)
 */

const WIDTH = 78;

/** @throws {Error} when no version has a date */
export function debianChangelog(markdown: string): string {
  const sections = [...markdown.matchAll(/^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)];
  if (sections.length === 0) throw new Error('CHANGELOG.md has no heading of the form ## [1.2.3] - 2026-01-31');
  return sections
    .map(([, version = '', day = '', body = '']) => {
      const points = [...body.matchAll(/^- ([\s\S]*?)(?=\n- |\n\n|\n#|(?![\s\S]))/gm)].map((match) => match[1] ?? '');
      const items = (points.length === 0 ? ['New version.'] : points).map(item).join('\n');
      const date = new Date(`${day}T12:00:00Z`).toUTCString().replace('GMT', '+0000');
      return `mcproxy (${version}) stable; urgency=medium\n\n${items}\n\n -- ${MAINTAINER}  ${date}\n`;
    })
    .join('\n');
}

/** As in packaging/debian/control. */
const MAINTAINER = 'The mcproxy authors <mcproxy@localhost.localdomain>';

function item(text: string): string {
  const lines = [''];
  for (const word of text.trim().split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + word.length + 5 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line, index) => `${index === 0 ? '  * ' : '    '}${line}`).join('\n');
}
