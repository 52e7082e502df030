import { execFileSync } from "node:child_process";
import { closeSync, constants as flags, openSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { bindCall, ffiAvailable } from "./libc.ts";

describe.skipIf(!ffiAvailable())("a call that answers as the kernel does", () => {
  it("gives what the function gave, or the negated errno", async () => {
    await using dir = await tempDir();
    const access = bindCall("int access(const char *, int)");
    expect(access(dir.path, 0)).toBe(0);
    expect(access(join(dir.path, "none"), 0)).toBe(-constants.errno.ENOENT);
  });

  it("says EAGAIN in the end, though it asks again when an errno may not be the call's own", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "pipe");
    execFileSync("mkfifo", [path]);
    const pipe = openSync(path, flags.O_RDWR | flags.O_NONBLOCK);
    const read = bindCall("int64_t read(int, void *, size_t)");
    expect(read(pipe, new Uint8Array(1), 1)).toBe(-constants.errno.EAGAIN);
    closeSync(pipe);
  });
});
