import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { openStore } from "./store.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

async function place() {
  const dir = await tempDir();
  const root = join(dir.path, "store");
  const elsewhere = join(dir.path, "elsewhere");
  await mkdir(root);
  await mkdir(elsewhere);
  return { root, elsewhere, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** Opens it and writes something. */
async function use(root: string): Promise<void> {
  await using store = await openStore(root, { sync: false });
  await store.leases.create();
}

describe("a store where others can write", () => {
  it("is refused when anybody can put things there at any time", async () => {
    await using at = await place();
    await chmod(at.root, 0o777);
    await expect(use(at.root)).rejects.toMatchObject({ code: "PERMISSION" });
    await chmod(at.root, 0o775);
    await use(at.root);
  });

  it("is taken in a fresh tmpfs, where everyone keeps to his own", async () => {
    await using at = await place();
    await chmod(at.root, 0o1777);
    await use(at.root);
    await use(at.root);
  });

  it.skipIf(!isRoot).each(["locks", "ingest", "blobs", "layers", "snapshots", "disks"])(
    "is refused when another user made %s",
    async (name) => {
      await using at = await place();
      await chmod(at.root, 0o1777);
      await mkdir(join(at.root, name));
      await chown(join(at.root, name), NOBODY, NOBODY);
      await expect(use(at.root)).rejects.toMatchObject({ code: "PERMISSION" });
      // His own store is for root to use.
      await chmod(at.root, 0o755);
      await chown(at.root, NOBODY, NOBODY);
      await use(at.root);
    },
  );

  it.each(["locks", "ingest", "blobs", "layers", "snapshots", "disks"])(
    "is refused when %s leads elsewhere, and nothing is made there",
    async (name) => {
      await using at = await place();
      await symlink(at.elsewhere, join(at.root, name));
      await expect(use(at.root)).rejects.toMatchObject({ code: "PATH_INVALID" });
      expect(await readdir(at.elsewhere)).toEqual([]);
    },
  );

  it("is refused when its database leads elsewhere", async () => {
    await using at = await place();
    await symlink(join(at.elsewhere, "new"), join(at.root, "meta.db"));
    await expect(use(at.root)).rejects.toMatchObject({ code: "PATH_INVALID" });
    expect(await readdir(at.elsewhere)).toEqual([]);
  });

  it.each([".index.json.new", ".oci-layout.new"])("writes nothing through %s", async (name) => {
    await using at = await place();
    const victim = join(at.elsewhere, "victim");
    await writeFile(victim, "precious");
    await symlink(victim, join(at.root, name));
    await use(at.root).catch(() => {});
    expect(await readFile(victim, "utf8")).toBe("precious");
  });

  it("keeps its locks from those who could hold them for ever", async () => {
    await using at = await place();
    await use(at.root);
    expect((await stat(join(at.root, "locks"))).mode & 0o777).toBe(0o700);
  });
});
