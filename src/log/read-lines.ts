/**
 * The lines of a log file, one by one, as bytes: for whoever checks or shows what was logged.
 *
 * Bounded by `LOG_TAIL_BYTES_MAX` a line: what goes on longer comes in pieces. With `from` it begins at a byte, and gives
 * back where it ended, so that a file that grows can be followed. The last line may lack its newline. A file that a
 * rotation has compressed with gzip is read as what it was.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';

import { LOG_TAIL_BYTES_MAX } from '../limits.ts';

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
/** RFC 1952 §2.3.1. */
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

export interface ReadLinesOptions {
  /** The byte to begin at. */
  readonly from?: number;
  /** The end of a file that grows is no line yet. */
  readonly wholeOnly?: boolean;
}

/** Reads to the present end. @returns the byte after the last line that was given */
export async function readLines(
  path: string,
  onLine: (line: Buffer, isEnded: boolean) => void,
  { from = 0, wholeOnly = false }: ReadLinesOptions = {},
): Promise<number> {
  const file = await open(path, 'r');
  let position = from;
  let rest = Buffer.alloc(0);
  try {
    const isZipped = from === 0 && (await isCompressed(file));
    // Such a file does not grow: whoever follows it is at its end.
    if (isZipped) position = (await file.stat()).size;
    for await (const chunk of isZipped ? unzippedOf(file) : chunksOf(file, from)) {
      if (!isZipped) position += chunk.length;
      rest = feed(Buffer.concat([rest, chunk]), onLine);
      if (rest.length < LOG_TAIL_BYTES_MAX) continue;
      onLine(rest, false);
      rest = Buffer.alloc(0);
    }
  } finally {
    await file.close();
  }
  if (rest.length === 0 || wholeOnly) return position - rest.length;
  onLine(rest, false);
  return position;
}

async function isCompressed(file: FileHandle): Promise<boolean> {
  const magic = Buffer.alloc(GZIP_MAGIC.length);
  const { bytesRead } = await file.read(magic, 0, magic.length, 0);
  return bytesRead === magic.length && magic.equals(GZIP_MAGIC);
}

function unzippedOf(file: FileHandle): AsyncIterable<Buffer> {
  const unzip = createGunzip();
  const bytes = file.createReadStream({ start: 0, autoClose: false });
  bytes.once('error', (error) => void unzip.destroy(error)).pipe(unzip);
  return unzip;
}

/** The buffer is used again for the next. */
async function* chunksOf(file: FileHandle, from: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let position = from; ;) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Gives every whole line; what is left. */
function feed(bytes: Buffer, onLine: (line: Buffer, isEnded: boolean) => void): Buffer<ArrayBuffer> {
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    onLine(bytes.subarray(start, end), true);
    start = end + 1;
  }
  // A copy, so that the chunks can go.
  return Buffer.from(bytes.subarray(start));
}
