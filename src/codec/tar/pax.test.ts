import { describe, expect, it } from "vitest";
import { cat, header, octal, one, padded, parse, refuses, text, withPax } from "../../../test/codec/tar-blocks.ts";
import { encodePax, type PaxRecord } from "./encode-pax.ts";
import { TAR_END } from "./header.ts";
import { GNU_MAGIC, sealBlock } from "./block.ts";

const timeOf = (mtime: string): unknown => one(withPax([["mtime", mtime]], header("a"))).modifiedAt;

describe("extensions", () => {
  it("override what the header says", () => {
    const records: PaxRecord[] = [
      ...([
        ["path", "long/größe"],
        ["linkpath", "target"],
        ["uid", "4000000000"],
        ["gid", "5"],
      ] as const),
      ...([
        ["uname", "käthe"],
        ["gname", "users"],
        ["mtime", "1700000000.000000001"],
        ["atime", "-0.5"],
      ] as const),
      ["ctime", "5"],
      ["SCHILY.xattr.security.selinux", text("a\0b\0")],
      ["SCHILY.xattr.user.größe", text("\xff")],
      ["LIBARCHIVE.xattr.user.x", "AAAA"],
      ["comment", "hello"],
    ];
    expect(one(withPax(records, header("short", { 156: "2", 157: "t" })))).toMatchObject({
      name: "long/größe",
      linkName: "target",
      uid: 4_000_000_000,
      gid: 5,
      userName: "käthe",
      groupName: "users",
      modifiedAt: { seconds: 1_700_000_000, nanoseconds: 1 },
      accessedAt: { seconds: -1, nanoseconds: 500_000_000 },
      changedAt: { seconds: 5, nanoseconds: 0 },
      xattrs: new Map([
        ["security.selinux", Uint8Array.from(text("a\0b\0"))],
        ["user.größe", Uint8Array.of(0xff)],
      ]),
    });
  });

  it("rule the length of the payload", () => {
    const tar = cat(
      withPax([["size", "700"]], header("a", { 124: octal(3) })),
      padded(Buffer.alloc(700, "x")),
      header("b"),
    );
    const { entries, contents } = parse(tar);
    expect(entries.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(contents[0]?.length).toBe(700);
    refuses(withPax([["size", "-1"]], header("a")));
    refuses(withPax([["size", "9007199254740993"]], header("a")));
  });

  it("override nothing with an empty value, and count a key once", () => {
    const repeated = cat(text("9 path=a\n"), text("9 path=b\n"), text("8 path=\n"));
    const carrier = header("x", { 156: "x", 124: octal(repeated.length) });
    expect(one(cat(carrier, padded(repeated), header("plain"))).name).toBe("plain");
  });

  it("keep an extended attribute whose value is empty", () => {
    const { xattrs } = one(withPax([["SCHILY.xattr.user.a", ""]], header("a")));
    expect([...(xattrs ?? [])]).toEqual([["user.a", new Uint8Array()]]);
  });

  it("cut times to nanoseconds", () => {
    expect(timeOf("1.1234567899")).toEqual({ seconds: 1, nanoseconds: 123_456_789 });
    expect(timeOf("-1.25")).toEqual({ seconds: -2, nanoseconds: 750_000_000 });
    expect(timeOf("-1.")).toEqual({ seconds: -1, nanoseconds: 0 });
    expect(timeOf("-0")).toEqual({ seconds: 0, nanoseconds: 0 });
    for (const value of [".5", "1e5", "", "1.-5", "0x5", "99999999999999999999"]) {
      if (value !== "") refuses(withPax([["mtime", value]], header("a")));
    }
  });

  it("are refused when malformed", () => {
    for (const record of [
      "5 a=",
      "9 path=a",
      "path=a\n",
      "99 path=a\n",
      "4 =\n",
      "6 =aa\n",
      "8 patha\n",
      " 9 path=a\n",
      "0 a=b\n",
      "11 path=a\0\n",
      "9 p\0th=a\n",
      "9 uid=1x\n",
      "08 path=\n9 ",
      "99999999999999999999999 path=a\n",
    ]) {
      refuses(cat(header("x", { 156: "x", 124: octal(record.length) }), padded(text(record)), header("a")));
    }
  });

  it("give GNU's long names and links, which win over PAX", () => {
    const long = `${"n".repeat(300)}/`;
    const named = (flag: string, value: string): Buffer =>
      cat(header("././@LongLink", { 257: GNU_MAGIC, 156: flag, 124: octal(value.length) }), padded(text(value)));
    const link = header("short", { 156: "2", 157: "target" });
    const tar = cat(named("K", `${long}\0`), named("L", long), withPax([["path", "pax"]], link));
    expect(one(tar)).toMatchObject({ name: long, linkName: long });
    expect(one(cat(named("L", ""), header("a"))).name).toBe("a");
    expect(one(cat(named("L", "first"), named("L", "a\0junk"), header("b"))).name).toBe("a");
  });

  it("that are global are told of, and apply to nothing", () => {
    const global = Buffer.from(
      encodePax("x", [
        ["path", "everywhere"],
        ["uid", "7"],
      ]),
    );
    global.write("g", 156);
    sealBlock(global.subarray(0, 512));
    const { entries, events } = parse(cat(global, header("a"), withPax([["path", "lost"]], global), header("b")));
    expect(entries).toMatchObject([
      { name: "a", uid: 0 },
      { name: "b", uid: 0 },
    ]);
    expect(events[1]).toBe("global PaxHeaders.0/x");
    const broken = header("g", { 156: "g", 124: octal(4) });
    refuses(cat(broken, padded(text("junk"))));
  });

  it("may stand at the end without a member", () => {
    expect(parse(cat(encodePax("x", [["path", "a"]]), TAR_END)).entries).toEqual([]);
  });
});
