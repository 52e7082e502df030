/**
 * Layers made up for want of real images: text of words, many small files and few large ones, always the same for the same numbers. A new
 * version has other content in some folders, a few bytes more in the middle of a large one, and new times everywhere.
 */
import { createHash } from "node:crypto";
import { encodeTarEntry, TAR_END, tarPadding } from "../../../src/codec/tar/header.ts";

export interface MadeLayer {
  /** Bytes of content, roughly. */
  readonly bytes: number;
  /** Other layers have other content. */
  readonly name: string;
  /** Content in every `nth` folder and in none else depends on the version. Default: no file's does. */
  readonly changesEvery?: number;
  readonly version: number;
}

const CORPUS_BYTES = 4 << 20;
const LARGE_BYTES = 12 << 20;
/** Large files are this part of a layer's bytes. */
const LARGE_SHARE = 0.4;
const MOST_SMALL = 24 << 10;
const PIECE = 300;
const FOLDER_FILES = 100;

export function* madeLayer({ bytes, name, changesEvery, version }: MadeLayer): Generator<Uint8Array, void, undefined> {
  let made = 0;
  for (let file = 0; made < bytes; file++) {
    const isLarge = file % Math.ceil((LARGE_BYTES / LARGE_SHARE / MOST_SMALL) * 2) === 0 && bytes > LARGE_BYTES;
    const random = randomOf(`${name} ${file}`);
    const size = isLarge ? LARGE_BYTES : Math.floor(random() * MOST_SMALL) + 1;
    const isChanged = changesEvery !== undefined && Math.floor(file / FOLDER_FILES) % changesEvery === 0;
    const seed = isChanged && !isLarge ? `${name} ${file} ${version}` : `${name} ${file}`;
    const content = textOf(seed, size);
    const edit = isChanged && isLarge ? Buffer.from(`version ${version}\n`.repeat(version)) : Buffer.alloc(0);
    const parts = [content.subarray(0, size >> 1), edit, content.subarray(size >> 1)];
    const length = size + edit.length;
    const path = `${name}/${Math.floor(file / FOLDER_FILES)}/${file}.txt`;
    const modifiedAt = { seconds: 1_600_000_000 + version * 86_400, nanoseconds: 0 };
    yield encodeTarEntry({ type: "file", name: path, size: length, storedSize: length, modifiedAt });
    yield* parts;
    yield tarPadding(length);
    made += length;
  }
  yield TAR_END;
}

let corpus: Buffer | undefined;

function textOf(seed: string, size: number): Buffer {
  corpus ??= makeCorpus();
  const random = randomOf(seed);
  const text = Buffer.allocUnsafe(size);
  for (let at = 0; at < size;) {
    const start = Math.floor(random() * (CORPUS_BYTES - PIECE));
    at += corpus.copy(text, at, start, start + PIECE);
  }
  return text;
}

function makeCorpus(): Buffer {
  const random = randomOf("words");
  const letters = "etaoinshrdlucmfwypvbgkqjxz";
  const word = () =>
    Array.from({ length: 2 + Math.floor(random() * 8) }, () => letters[Math.floor(random() ** 2 * 26)]).join("");
  const words = Array.from({ length: 5000 }, word);
  let text = "";
  while (text.length < CORPUS_BYTES) {
    text += `${words[Math.floor(random() ** 2 * words.length)]}${random() < 0.1 ? "\n" : " "}`;
  }
  return Buffer.from(text, "latin1");
}

/** mulberry32, from a name. */
function randomOf(name: string): () => number {
  let state = createHash("sha256").update(name).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
