/** The members of a tar, with what they hold. */
import type { TarEntry } from "../../../src/codec/tar/entry.ts";
import { TarParser } from "../../../src/codec/tar/parser.ts";

export interface Member {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

export function readMembers(tar: Uint8Array): Member[] {
  const members: { entry: TarEntry; content: Buffer }[] = [];
  const parser = new TarParser({
    entry: (entry) => void members.push({ entry, content: Buffer.alloc(0) }),
    data: (bytes) => {
      const last = members.at(-1);
      if (last !== undefined) last.content = Buffer.concat([last.content, bytes]);
    },
    endEntry: () => undefined,
  });
  parser.write(tar);
  parser.end();
  return members;
}
