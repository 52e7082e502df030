import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { syncDirectory } from "./fsync-dir.ts";
import { bind, withoutFfi } from "./libc.ts";
import { syncFileSystem } from "./syncfs.ts";

describe("making things durable", () => {
  it("syncs a directory, and a whole file system with and without foreign calls", async () => {
    await using dir = await tempDir("varve-sync-");
    syncDirectory(dir.path);
    await syncFileSystem(dir.path);
    using _off = withoutFfi();
    await syncFileSystem(dir.path);
  });

  it("says when there is nothing to sync", async () => {
    const missing = "/nonexistent/varve";
    expect(() => syncDirectory(missing)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    await expect(syncFileSystem(missing)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("foreign calls", () => {
  it("are loaded by the first call, not by the import", () => {
    const modules = ["at.ts", "flock.ts", "xattr.ts", "sparse.ts", "syncfs.ts", "libc.ts"];
    const imports = modules.map((name) => `await import(${JSON.stringify(join(import.meta.dirname, name))});`).join("");
    const program = `${imports} console.log(process.report.getReport().sharedObjects.some((name) => name.endsWith("koffi.node")))`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    expect(stdout.trim()).toBe("false");
  });

  it("that do not exist are a coded error, as are all where koffi cannot be loaded", () => {
    expect(() => bind("int no_such_function_in_libc(int)")).toThrow(
      expect.objectContaining({ code: "FFI_UNAVAILABLE" }),
    );
    using _off = withoutFfi();
    expect(() => bind("int getuid()")).toThrow(expect.objectContaining({ code: "FFI_UNAVAILABLE" }));
  });
});
