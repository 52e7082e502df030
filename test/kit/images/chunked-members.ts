/** Trees that have everything a chunked layer can have, and random ones. */
import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import type { ChunkedMember } from "./tar-members.ts";

const time = (seconds: number, nanoseconds = 0): { seconds: number; nanoseconds: number } => ({ seconds, nanoseconds });

/** One of each kind, with every field that a table of contents repeats. */
export function allKinds(): ChunkedMember[] {
  const modifiedAt = time(1_700_000_000);
  return [
    { type: "directory", name: "./", mode: 0o755, modifiedAt },
    {
      type: "directory",
      name: "./dir/",
      mode: 0o1777,
      uid: 1000,
      gid: 100,
      modifiedAt: time(1_700_000_001, 123_456_789),
    },
    { type: "file", name: "./dir/empty", modifiedAt },
    { type: "file", name: "./dir/small", content: Buffer.from("hello"), mode: 0o4755, modifiedAt, accessedAt: time(5) },
    { type: "symlink", name: "./dir/link", linkName: "../<&>é", modifiedAt: time(-1, 500_000_000) },
    { type: "link", name: "./hard", linkName: "./dir/small", modifiedAt },
    { type: "char", name: "./null", deviceMajor: 1, deviceMinor: 3, modifiedAt: time(0) },
    { type: "block", name: "./disk", deviceMajor: 8, deviceMinor: 300, modifiedAt },
    { type: "fifo", name: "./pipe", modifiedAt },
    { type: "file", name: `./dir/${"long".repeat(40)}`, content: randomBytes(300_000), modifiedAt },
    {
      type: "file",
      name: "./dir/hole",
      content: Buffer.concat([Buffer.alloc(65_536), randomBytes(10), Buffer.alloc(200_000)]),
      modifiedAt,
    },
    { type: "file", name: "./dir/zeros", content: Buffer.alloc(5000), modifiedAt },
    { type: "file", name: "./dir/exact", content: randomBytes(131_072), modifiedAt },
    { type: "file", name: "./dir/.wh.gone", modifiedAt },
    {
      type: "file",
      name: "./dir/attributed",
      content: Buffer.from("x"),
      xattrs: new Map([
        ["user.b", Buffer.from([0xff, 0])],
        ["security.capability", Buffer.from("cap")],
      ]),
      modifiedAt,
    },
  ];
}

/** Files of random sizes around the given one, some of them alike, with other members between. */
export function someMembers(size: number): fc.Arbitrary<ChunkedMember[]> {
  const content = fc.oneof(
    fc.nat({ max: 3 * size }).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
    fc.nat({ max: 3 * size }).map((length) => new Uint8Array(length)),
    fc.constantFrom(size - 1, size, size + 1, 2 * size).map((length) => new Uint8Array(length).fill(7)),
  );
  const kind = fc.oneof(
    content.map((bytes) => ({ type: "file" as const, content: Buffer.from(bytes) })),
    fc.constant({ type: "directory" as const }),
    fc.constant({ type: "symlink" as const, linkName: "elsewhere" }),
  );
  return fc
    .array(kind, { maxLength: 8 })
    .map((kinds) =>
      kinds.map((member, at) => ({ ...member, name: `d/${at}${member.type === "directory" ? "/" : ""}` })),
    );
}
