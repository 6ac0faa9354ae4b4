/**
 * A chained access log on disk for one test: the real writer, and the real check of what is in its files.
 */
import { readFileSync } from 'node:fs';
import { createChain } from '../../src/log/chain.ts';
import { createChainReader, type ChainReport } from '../../src/log/chain-verify.ts';
import { openLineWriter, type LineWriter } from '../../src/log/ndjson.ts';
import type { WriteCall } from '../../src/log/swift-write.ts';

/** A writer of a process that began just now. */
export function openChained(path: string, startId: string, write?: WriteCall): LineWriter {
  return openLineWriter({
    path,
    chain: createChain({ startId, wallMs: () => 1_796_000_000_000 }),
    onLost: () => undefined,
    ...(write === undefined ? {} : { write }),
  });
}

/** Appends one entry and waits until it is in the file or lost. */
export function appendEntry(writer: LineWriter, n: number): Promise<boolean> {
  return new Promise((done) => writer.append(`{"ts":"t","n":${n}}\n`, done));
}

/** What the check says of texts, as of files `0`, `1` … in this order. */
export function checkTexts(texts: readonly string[], expected: readonly string[] = []): ChainReport {
  const reader = createChainReader(expected);
  for (const [file, text] of texts.entries()) {
    const lines = text.split('\n');
    const rest = lines.pop() ?? '';
    for (const [at, line] of lines.entries())
      reader.take(Buffer.from(line), { file: String(file), line: at + 1 }, true);
    if (rest !== '') reader.take(Buffer.from(rest), { file: String(file), line: lines.length + 1 }, false);
  }
  return reader.report();
}

export function checkFiles(...paths: readonly string[]): ChainReport {
  return checkTexts(paths.map((path) => readFileSync(path, 'utf8')));
}

/** `file:line` of each finding. */
export function places({ findings }: ChainReport): string[] {
  return findings.map(({ file, line }) => `${file}:${line}`);
}
