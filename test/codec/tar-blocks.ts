/** Tars by the block, for tests: headers with any field changed, and what the parser makes of them. */
import { expect } from "vitest";
import { sealBlock } from "../../src/codec/tar/block.ts";
import { encodePax, type PaxRecord } from "../../src/codec/tar/encode-pax.ts";
import type { TarEntry, TarLimits } from "../../src/codec/tar/entry.ts";
import { encodeTarEntry, tarPadding } from "../../src/codec/tar/header.ts";
import { TarParser } from "../../src/codec/tar/parser.ts";

export interface Parsed {
  readonly entries: readonly TarEntry[];
  readonly contents: readonly Buffer[];
  /** All that the handler was told, in order, with adjacent pieces joined. */
  readonly events: readonly string[];
  /** All bytes that were handed over. */
  readonly bytes: Buffer;
}

export function parse(tar: Uint8Array, step = tar.length || 1, limits: TarLimits = {}): Parsed {
  const [entries, contents, events, bytes]: [TarEntry[], Buffer[], string[], Uint8Array[]] = [[], [], [], []];
  const piece = (kind: string, chunk: Uint8Array): void => {
    expect(chunk.length).toBeGreaterThan(0);
    bytes.push(Buffer.from(chunk));
    const last = events.at(-1)?.split(" ");
    if (last?.[0] === kind) events.pop();
    events.push(`${kind} ${chunk.length + (last?.[0] === kind ? Number(last[1]) : 0)}`);
  };
  const parser = new TarParser(
    {
      raw: (chunk) => piece("raw", chunk),
      entry(entry) {
        entries.push(entry);
        contents.push(Buffer.alloc(0));
        events.push(`entry ${entry.name}`);
      },
      data(chunk) {
        piece("data", chunk);
        contents.push(Buffer.concat([contents.pop() ?? Buffer.alloc(0), chunk]));
      },
      endEntry: () => void events.push("end"),
      globalHeader: (name) => void events.push(`global ${name}`),
      endOfArchive: () => void events.push("end of archive"),
    },
    limits,
  );
  for (let at = 0; at < tar.length; at += step) parser.write(tar.subarray(at, at + step));
  parser.end();
  expect(parser.entries).toBe(entries.length);
  expect(parser.offset).toBe(tar.length);
  return { entries, contents, events, bytes: Buffer.concat(bytes) };
}

export const cat = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
export const padded = (content: Uint8Array): Buffer => cat(content, tarPadding(content.length));
export const text = (content: string): Buffer => Buffer.from(content, "latin1");

/** A plain header, with fields changed by offset, and its checksum made right. */
export function header(name: string, fields: Record<number, string> = {}): Buffer {
  const block = Buffer.from(encodeTarEntry({ type: "file", name }));
  for (const [at, value] of Object.entries(fields)) block.write(value, Number(at), "latin1");
  sealBlock(block);
  return block;
}

export const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
export const withPax = (records: readonly PaxRecord[], block: Uint8Array): Buffer =>
  cat(encodePax("x", records), block);
export const one = (tar: Uint8Array): TarEntry => {
  const { entries } = parse(tar);
  expect(entries).toHaveLength(1);
  return entries[0] as TarEntry;
};
export const refuses = (tar: Uint8Array, code = "LAYER_INVALID", limits: TarLimits = {}): void => {
  for (const step of [1 << 20, 100]) {
    expect(() => parse(tar, step, limits)).toThrow(expect.objectContaining({ code }));
  }
};
