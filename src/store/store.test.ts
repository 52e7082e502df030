import { spawnSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { putImage } from "../../test/kit/store/put-image.ts";
import { startStoreProcess } from "../../test/kit/store/store-process.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "./migrations.ts";
import { openStore } from "./store.ts";

const isRoot = process.getuid?.() === 0;
const NAME = "docker.io/library/debian:12";

/** Every file below with its content, so that a change of any shows. */
async function snapshot(root: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    files[path] = entry.isFile() ? digestOf(await readFile(path)) : "";
  }
  return files;
}

async function makeStore(root: string): Promise<void> {
  await using store = await openStore(root);
  await putImage(store, NAME);
}

describe("opening a store", () => {
  it("makes an OCI image layout where nothing was, and finds it again", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "a/b");
    await makeStore(root);
    expect(JSON.parse(await readFile(join(root, "oci-layout"), "utf8"))).toEqual({ imageLayoutVersion: "1.0.0" });
    expect((await readdir(root)).sort()).toEqual([
      ".reserve",
      "blobs",
      "index.json",
      "ingest",
      "locks",
      "meta.db",
      "oci-layout",
    ]);
    expect((await stat(root)).mode & 0o777).toBe(isRoot ? 0o755 : 0o700);
    await using store = await openStore(root);
    expect((await store.images.list()).map(({ name }) => name)).toEqual([NAME]);
  });

  it("pays for no database before it needs one", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    expect(await store.content.stat(digestOf("x"))).toBeUndefined();
    expect(await readdir(dir.path)).not.toContain("meta.db");
  });

  it("takes a layout of another tool as it is", async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, "blobs/sha256"), { recursive: true });
    await writeFile(join(dir.path, "blobs/sha256", digestOf("theirs").slice(7)), "theirs");
    const index = '{"schemaVersion":2,"manifests":[]}';
    await writeFile(join(dir.path, "index.json"), index);
    await writeFile(join(dir.path, "oci-layout"), '{"imageLayoutVersion": "1.0.0"}');
    await using store = await openStore(dir.path);
    expect(await store.content.stat(digestOf("theirs"))).toMatchObject({ size: 6 });
    expect(await readFile(join(dir.path, "index.json"), "utf8")).toBe(index);
  });

  it("finishes what a process began that died while it made the store", async () => {
    await using dir = await tempDir();
    for (const name of ["locks", "ingest", "lost+found"]) await mkdir(join(dir.path, name));
    await writeFile(join(dir.path, ".oci-layout.new"), '{"imag');
    await makeStore(dir.path);
    expect(await readdir(dir.path)).not.toContain(".oci-layout.new");
  });

  it("follows a link to the place where the store is", async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, "elsewhere"));
    await symlink("elsewhere", join(dir.path, "store"));
    await makeStore(join(dir.path, "store"));
    expect(await readdir(join(dir.path, "elsewhere"))).toContain("oci-layout");
  });

  const inTheWay: [string, string, (root: string) => Promise<void>][] = [
    ["a file", "PATH_INVALID", (root) => writeFile(root, "")],
    [
      "a directory of other things",
      "TARGET_NOT_EMPTY",
      async (root) => {
        await mkdir(join(root, "photos"), { recursive: true });
      },
    ],
    [
      "a layout of a later version",
      "STORE_NEWER",
      async (root) => {
        await mkdir(root);
        await writeFile(join(root, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
      },
    ],
    [
      "a newer store",
      "STORE_NEWER",
      async (root) => {
        await makeStore(root);
        const database = new DatabaseSync(join(root, "meta.db"));
        database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
        database.close();
      },
    ],
  ];
  it.each(inTheWay)("refuses %s, with %s, and leaves it as it is", async (_, code, put) => {
    await using dir = await tempDir();
    const root = join(dir.path, "root");
    await put(root);
    const before = await snapshot(dir.path);
    await expect(openStore(root)).rejects.toMatchObject({ code });
    await expect(openStore(root, { readOnly: true })).rejects.toMatchObject({ code });
    expect(await snapshot(dir.path)).toEqual(before);
  });

  it("sees that a store is newer also when only the database's log says so", async () => {
    await using dir = await tempDir();
    await makeStore(dir.path);
    const database = new DatabaseSync(join(dir.path, "meta.db"));
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    await using store = await openStore(dir.path);
    await expect(store.images.list()).rejects.toMatchObject({ code: "STORE_NEWER" });
    await expect(store.leases.create()).rejects.toMatchObject({ code: "STORE_NEWER" });
    expect(database.prepare("SELECT count(*) AS n FROM images").get()).toEqual({ n: 1 });
    database.close();
  });

  it("keeps content when the metadata is damaged, and says so", async () => {
    await using dir = await tempDir();
    await makeStore(dir.path);
    await writeFile(join(dir.path, "meta.db"), "this is no database ".repeat(500));
    for (const readOnly of [false, true]) {
      await using store = await openStore(dir.path, { readOnly });
      await expect(store.images.list()).rejects.toMatchObject({ code: "STORE_CORRUPT" });
      expect(await Array.fromAsync(store.content.list())).toHaveLength(3);
    }
  });

  it("is no use after it was closed", async () => {
    await using dir = await tempDir();
    const store = await openStore(dir.path);
    await store.images.list();
    await store.close();
    await store.close();
    await expect(store.images.list()).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

describe("a store that is only read", () => {
  it("is empty where there is none, and none is made", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "none");
    await using store = await openStore(root, { readOnly: true });
    expect(await store.images.list()).toEqual([]);
    expect(await store.content.stat(digestOf("x"))).toBeUndefined();
    expect(await Array.fromAsync(store.content.list())).toEqual([]);
    expect(await Array.fromAsync(store.content.ingests())).toEqual([]);
    expect(await store.leases.isLeased(digestOf("x"))).toBe(false);
    expect(await readdir(dir.path)).toEqual([]);
  });

  it("can be read while others write it, and refuses to be changed", async () => {
    await using dir = await tempDir();
    await makeStore(dir.path);
    await using writer = await openStore(dir.path);
    await putImage(writer, "a.example/x:1");
    await using reader = await openStore(dir.path, { readOnly: true });
    expect((await reader.images.list()).map(({ name }) => name)).toEqual(["a.example/x:1", NAME]);
    await putImage(writer, "b.example/x:1");
    expect(await reader.images.list()).toHaveLength(3);
    const bytes = Buffer.from("x");
    const changes = [
      reader.content.writeBytes(digestOf(bytes), bytes),
      reader.content.ingest({ digest: digestOf(bytes), size: 1 }),
      reader.content.remove(digestOf(bytes)),
      reader.images.delete(NAME),
      reader.leases.create(),
      reader.removeUnreferenced([]),
    ];
    for (const change of await Promise.allSettled(changes)) {
      expect(change).toMatchObject({ status: "rejected", reason: { code: "STORE_READ_ONLY" } });
    }
  });
});

describe("a store that an older varve made", () => {
  const [first = ""] = MIGRATIONS;
  const made = async (dir: TempDir): Promise<string> => {
    await makeStore(dir.path);
    const path = join(dir.path, "meta.db");
    for (const end of ["", "-wal", "-shm"]) await rm(path + end, { force: true });
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA journal_mode = WAL; ${first} PRAGMA user_version = 1`);
    database.exec(`INSERT INTO layers VALUES ('${digestOf("blob")}', '${digestOf("tar")}', 'x', 1, 2, 3, 4)`);
    database.close();
    return path;
  };

  it("is read as it is, and not changed", async () => {
    await using dir = await tempDir();
    const path = await made(dir);
    const before = await readFile(path);
    await using store = await openStore(dir.path, { readOnly: true });
    expect(await store.layers.get(digestOf("blob"))).toEqual({
      digest: digestOf("blob"),
      diffId: digestOf("tar"),
      mediaType: "x",
      size: 1,
      uncompressedSize: 2,
      entries: 3,
      verifiedAt: new Date(4),
    });
    expect(await Array.fromAsync(store.snapshots.walk())).toEqual([]);
    expect((await readFile(path)).equals(before)).toBe(true);
  });

  it("is brought up to date when it is written", async () => {
    await using dir = await tempDir();
    await made(dir);
    await using store = await openStore(dir.path);
    await putImage(store, "a.example/x:1");
    expect(await store.layers.get(digestOf("blob"))).toMatchObject({ diffId: digestOf("tar") });
    expect(await Array.fromAsync(store.snapshots.walk())).toEqual([]);
  });
});

/** What a process leaves that dies with its last changes still in the log. */
async function copyWithLog(from: string, to: string): Promise<void> {
  await using store = await openStore(from);
  await putImage(store, "a.example/in-the-log:1");
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith("-shm") });
}

async function withReadOnlyMount(
  dir: TempDir,
  fill: (root: string) => Promise<void>,
  use: (root: string) => Promise<void>,
) {
  const root = join(dir.path, "mounted");
  await mkdir(root);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", root]).status === 0;
  if (!mounted) return false;
  try {
    await fill(root);
    expect(spawnSync("mount", ["-o", "remount,ro", root]).status).toBe(0);
    await use(root);
  } finally {
    spawnSync("umount", [root]);
  }
  return true;
}

describe.skipIf(!isRoot)("a store on a read-only file system (needs root, to mount one)", () => {
  it("can be read, and says why it cannot be changed", async (context) => {
    await using dir = await tempDir();
    const done = await withReadOnlyMount(dir, makeStore, async (root) => {
      await using reader = await openStore(root, { readOnly: true });
      expect((await reader.images.list()).map(({ name }) => name)).toEqual([NAME]);
      await using writer = await openStore(root);
      const bytes = Buffer.from("x");
      await expect(writer.content.writeBytes(digestOf(bytes), bytes)).rejects.toMatchObject({
        code: "STORE_READ_ONLY",
      });
      await expect(putImage(writer, "a.example/x:1")).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
      await expect(openStore(join(root, "new"))).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
    });
    if (!done) context.skip("this machine lets nobody mount");
  });

  it("shows also what a writer had only in the log when it died", async (context) => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    const fill = (root: string): Promise<void> => copyWithLog(from, root);
    const done = await withReadOnlyMount(dir, fill, async (root) => {
      expect((await stat(join(root, "meta.db-wal"))).size).toBeGreaterThan(0);
      await using store = await openStore(root, { readOnly: true });
      expect((await store.images.list()).map(({ name }) => name)).toEqual(["a.example/in-the-log:1"]);
    });
    if (!done) context.skip("this machine lets nobody mount");
  });
});

describe.skipIf(!isRoot)("another user (needs root, to become one)", () => {
  const nobody = { uid: 65_534 };
  it("reads the system's store, whether it is being written or not", async () => {
    await using dir = await tempDir();
    spawnSync("chmod", ["755", dir.path]);
    const root = join(dir.path, "store");
    await makeStore(root);
    const list = async (): Promise<string[]> => {
      await using reader = startStoreProcess({ root, act: "list" }, nobody);
      return (await reader.ended()).words;
    };
    expect(await list()).toEqual([NAME]);
    await using writer = await openStore(root);
    await putImage(writer, "a.example/x:1");
    expect(await list()).toEqual(["a.example/x:1", NAME]);
  });

  it("cannot change it", async () => {
    await using dir = await tempDir();
    spawnSync("chmod", ["755", dir.path]);
    await makeStore(join(dir.path, "store"));
    await using child = startStoreProcess({ root: join(dir.path, "store"), act: "open", name: NAME }, nobody);
    await expect(child.ended()).rejects.toThrow(/PERMISSION/);
  });
});
