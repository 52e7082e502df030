import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { canLoop } from "../../test/kit/mounts/can-mount.ts";
import { attachLoop } from "./loop.ts";

const backing = (device: string): string => `/sys/block/${basename(device)}/loop/backing_file`;

describe.skipIf(!canLoop())("a loop device", () => {
  it("has the file's whole sectors, for reading only, and goes away when it is let go", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a file");
    writeFileSync(path, Buffer.alloc(1300, "x"));
    {
      using loop = attachLoop(path);
      expect(readFileSync(loop.path).length).toBe(1024);
      expect(readFileSync(backing(loop.path), "utf8").trim()).toBe(path);
      expect(readFileSync(`/sys/block/${basename(loop.path)}/ro`, "utf8").trim()).toBe("1");
      const second = openSync(loop.path, "r");
      expect(readSync(second, Buffer.alloc(512))).toBe(512);
      closeSync(second);
      rmSync(path);
    }
    const left = (n: number): string =>
      existsSync(backing(`loop${n}`)) ? readFileSync(backing(`loop${n}`), "utf8") : "";
    await expect
      .poll(() => Array.from({ length: 32 }, (_, n) => left(n)).filter((file) => file.includes(dir.path)))
      .toEqual([]);
  });

  it("is another one each time", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "f");
    writeFileSync(path, Buffer.alloc(512));
    using stack = new DisposableStack();
    const loops = Array.from({ length: 12 }, () => stack.use(attachLoop(path)).path);
    expect(new Set(loops).size).toBe(12);
  });
});

it("no loop device of a file that is not there", () => {
  expect(() => attachLoop("/no/such/file")).toThrow(expect.objectContaining({ code: "ENOENT" }));
});
