import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { xattrCalls } from "./xattr.ts";

describe("extended attributes", () => {
  it("hold bytes with NULs, nothing at all, and names that are not ASCII", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "f");
    writeFileSync(path, "");
    const calls = xattrCalls();
    expect(calls.set(path, "user.a", Buffer.of(0, 1, 0))).toBe(0);
    expect(calls.set(path, "user.empty", new Uint8Array())).toBe(0);
    expect(calls.set(path, "user.ü", Buffer.from("x"))).toBe(0);
    expect(calls.get(path, "user.a")).toEqual(Uint8Array.of(0, 1, 0));
    expect(calls.get(path, "user.empty")).toEqual(new Uint8Array());
    expect(calls.get(path, "user.none")).toBeUndefined();
    expect(
      calls
        .list(path)
        .filter((name) => name.startsWith("user."))
        .toSorted(),
    ).toEqual(["user.a", "user.empty", "user.ü"]);
    expect(calls.remove(path, "user.a")).toBe(0);
    expect(calls.get(path, "user.a")).toBeUndefined();
  });

  it("are a link's own, not those of what it points to", async () => {
    await using dir = await tempDir();
    mkdirSync(join(dir.path, "d"));
    symlinkSync("d", join(dir.path, "l"));
    expect(xattrCalls().set(join(dir.path, "l"), "user.a", Buffer.from("x"))).toBeLessThan(0);
    expect(
      xattrCalls()
        .list(join(dir.path, "d"))
        .filter((name) => name.startsWith("user.")),
    ).toEqual([]);
  });

  it("of a missing file are an error", async () => {
    await using dir = await tempDir();
    expect(() => xattrCalls().list(join(dir.path, "none"))).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });
});
