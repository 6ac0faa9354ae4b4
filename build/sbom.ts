/**
 * The software bill of materials of a release, as CycloneDX JSON: mcproxy, Node, and what Node has built in.
 *
 * What Node contains is asked of the pinned binary itself (`process.versions`), so that the list is that of the bytes
 * that are shipped. There is nothing else: mcproxy has no runtime dependency. No time and no random serial number, so
 * that the same commit gives the same bytes. @see CycloneDX 1.5, JSON reference
 */
import { fetchRuntime, NODE_VERSION, type Architecture } from './node-runtime.ts';
import { runTool } from './run-tool.ts';
import type { Identity } from './version.ts';

/** Names in `process.versions` that are numbers of interfaces, not components. */
const NOT_COMPONENTS: ReadonlySet<string> = new Set(['node', 'modules', 'napi', 'cldr', 'tz', 'unicode']);

/** The document, ending in a newline. */
export function billOfMaterials(identity: Identity): string {
  const version = `${identity.version}+${identity.commit}`;
  const node = `pkg:generic/node@${NODE_VERSION}`;
  const contained = Object.entries(nodeComponents()).filter(([name]) => !NOT_COMPONENTS.has(name));
  const parts = contained.map(([name, partVersion]) => ({
    type: 'library',
    'bom-ref': `pkg:generic/${name}@${encodeURIComponent(partVersion)}`,
    name,
    version: partVersion,
    purl: `pkg:generic/${name}@${encodeURIComponent(partVersion)}`,
  }));
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': 'mcproxy',
        name: 'mcproxy',
        version,
        licenses: [{ license: { id: 'MIT' } }],
        purl: `pkg:npm/mcproxy@${identity.version}`,
      },
    },
    components: [
      { type: 'platform', 'bom-ref': node, name: 'node', version: NODE_VERSION, purl: node, cpe: nodeCpe() },
      ...parts,
    ],
    dependencies: [
      { ref: 'mcproxy', dependsOn: [node] },
      { ref: node, dependsOn: parts.map((part) => part['bom-ref']) },
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function nodeCpe(): string {
  return `cpe:2.3:a:nodejs:node.js:${NODE_VERSION}:*:*:*:*:*:*:*`;
}

function nodeComponents(): Record<string, string> {
  const { node } = fetchRuntime(process.arch as Architecture);
  const printed = runTool([node, '--print', 'JSON.stringify(process.versions)'], { install: 'npm run package' });
  return JSON.parse(printed) as Record<string, string>;
}
