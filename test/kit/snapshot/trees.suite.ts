/** What is in snapshots: a stack of them shows what one directory would hold; see snapshotter.suite.ts. Names in brackets are containerd's. */
import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  link,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diffTrees } from "../trees/diff-trees.ts";
import { readTree, type TreeEntry } from "../trees/read-tree.ts";
import { SnapshotBench, type MakeDriver } from "./bench.ts";

type Change = (root: string) => unknown;

/** When something was written depends on when it was written. */
const IGNORED = ["mtime"] as const;

export function treeCases(makeDriver: MakeDriver, renamesDirectories: boolean): void {
  /** Makes one layer of each change, and holds what the topmost shows to what one directory has after all of them. */
  async function stack(...changes: readonly Change[]): Promise<void> {
    await using bench = await SnapshotBench.open(makeDriver);
    const flat = await bench.directory();
    await chmod(flat, 0o755);
    let parent: string | undefined;
    for (const [index, change] of changes.entries()) {
      await change(flat);
      const name = `layer ${index}`;
      await bench.layer(name, parent, change);
      await expectEqual(bench, name, await readTree(flat));
      parent = name;
    }
  }

  async function expectEqual(bench: SnapshotBench, name: string, expected: TreeEntry[]): Promise<void> {
    const shown = await bench.see(name, (root) => readTree(root));
    expect([name, ...diffTrees(shown, expected, { ignore: IGNORED })]).toEqual([name]);
  }

  const put =
    (path: string, content: string, mode = 0o644): Change =>
    async (root) => {
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), content);
      await chmod(join(root, path), mode);
    };
  const all =
    (...changes: readonly Change[]): Change =>
    async (root) => {
      for (const change of changes) await change(root);
    };
  const drop =
    (path: string): Change =>
    (root) =>
      rm(join(root, path), { recursive: true });

  describe("trees", () => {
    it("shows a file that changed without changing its size, within a second (LayerFileupdate)", async () => {
      const same = new Date(1_700_000_000_000);
      const update =
        (content: string): Change =>
        async (root) => {
          await put("etc/hosts", content)(root);
          await utimes(join(root, "etc/hosts"), same, same);
        };
      for (let round = 0; round < 5; round++) {
        await stack(all(update("first "), put("root/.bashrc", "x")), update("second"), update("third "));
      }
    });

    it("shows only the new content of a directory that was removed and made again (RemoveDirectoryInLowerLayer)", async () => {
      await stack(
        all(put("dir1/f1", "1"), put("dir1/dir2/f2", "2")),
        all(drop("dir1"), put("dir1/f3", "3")),
        put("dir1/f4", "4"),
        all(drop("dir1"), put("dir1/dir2/f5", "5")),
      );
    });

    it("changes owners and nothing else (Chown)", async () => {
      await stack(
        all(put("opt/a/b/file", "owned"), put("opt/program", "#!", 0o755), (root) =>
          symlink("b", join(root, "opt/a/l")),
        ),
        async (root) => {
          await chown(join(root, "opt"), 1, 1);
          await chown(join(root, "opt/a/b"), 1, 1);
          await chown(join(root, "opt/a/b/file"), 2, 2);
        },
        (root) => chown(join(root, "opt"), 0, 3),
      );
    });

    it("changes modes and nothing else, set-id and sticky bits too", async () => {
      await stack(
        all(put("d/file", "content"), put("d/program", "#!"), (root) => mkdir(join(root, "d/sub"))),
        async (root) => {
          await chmod(join(root, "d/file"), 0o400);
          await chmod(join(root, "d/program"), 0o4755);
          await chmod(join(root, "d"), 0o1777);
          await chmod(join(root, "d/sub"), 0o2750);
        },
        (root) => chmod(join(root, "d/program"), 0o000),
      );
    });

    it("keeps the permissions of directories that change hands, go and come again (DirectoryPermissionOnCommit)", async () => {
      await stack(
        async (root) => {
          for (const [name, id] of [
            ["dir1", 0],
            ["dir2", 1],
            ["dir3", 2],
            ["dir4", 3],
          ] as const) {
            await mkdir(join(root, name), { mode: 0o700 });
            await put(`${name}/f1`, "1")(root);
            await chown(join(root, name), id, id);
          }
        },
        async (root) => {
          await chown(join(root, "dir1"), 1, 1);
          await rm(join(root, "dir2"), { recursive: true });
          await rm(join(root, "dir3/f1"));
          await chmod(join(root, "dir4"), 0o751);
        },
        async (root) => {
          await mkdir(join(root, "dir2"), { mode: 0o711 });
          await chown(join(root, "dir2"), 5, 5);
          await put("dir1/f2", "2")(root);
          await put("dir3/f1", "again", 0o600)(root);
        },
      );
    });

    it("hides what was deleted also two layers up, and shows what came again (DeletedFilesInChildSnapshot)", async () => {
      await stack(
        all(put("foo", "foo\n"), put("bar", "bar\n"), put("a/b/c", "c")),
        drop("foo"),
        all(put("foo2", "2"), drop("a/b")),
        all(put("foo", "again"), put("a/b", "a file now")),
      );
    });

    it("has files of lower layers copied, linked and moved (MoveFileFromLowerLayer)", async () => {
      await stack(
        all(put("dir1/f1", "one"), put("dir1/f2", "two"), put("dir1/f3", "three")),
        async (root) => {
          const at = (path: string): string => join(root, path);
          await mkdir(at("dir2"));
          await cp(at("dir1/f1"), at("dir2/copied"));
          await link(at("dir1/f1"), at("dir2/linked"));
          await rename(at("dir1/f2"), at("dir2/moved"));
          await rename(at("dir1/f3"), at("dir1/renamed"));
        },
        async (root) => {
          await unlink(join(root, "dir1/f1"));
          await rename(join(root, "dir2/moved"), join(root, "dir1/f2"));
        },
      );
    });

    it("keeps hard links within a layer, symbolic links, fifos, devices, odd names and extended sizes", async () => {
      await stack(
        async (root) => {
          const at = (path: string): string => join(root, path);
          await put("file", "linked")(root);
          await link(at("file"), at("second name"));
          await symlink("nowhere/at all", at("symlink"));
          await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0xfe, 0x2e)]), "bytes");
          await writeFile(at("line\nbreak, co:lon, back\\slash"), "odd");
          await put("empty", "")(root);
        },
        put("new", "beside"),
      );
    });

    it("lets nobody write to a view (ViewReadonly)", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      await bench.layer("base", undefined, put("file", "read"));
      await bench.see("base", async (root) => {
        await expect(writeFile(join(root, "new"), "x")).rejects.toMatchObject({ code: "EROFS" });
        await expect(writeFile(join(root, "file"), "x")).rejects.toMatchObject({ code: "EROFS" });
        expect(readFileSync(join(root, "file"), "utf8")).toBe("read");
      });
      const mounts = await bench.snapshots.view("of nothing");
      await bench.mounted(mounts, async (root) => {
        expect(await readdir(root)).toEqual([]);
        await expect(writeFile(join(root, "new"), "x")).rejects.toMatchObject({ code: "EROFS" });
      });
    });

    it("has a root that all may enter, whatever the umask (RootPermission)", async () => {
      const before = process.umask(0o077);
      try {
        await using bench = await SnapshotBench.open(makeDriver);
        const modeOf = (root: string): number => lstatSync(root).mode & 0o7777;
        expect(await bench.mounted(await bench.snapshots.prepare("active"), modeOf)).toBe(0o755);
        expect(await bench.mounted(await bench.snapshots.view("view"), modeOf)).toBe(0o755);
        await bench.snapshots.commit("base", "active");
        expect(await bench.see("base", modeOf)).toBe(0o755);
        expect(await bench.mounted(await bench.snapshots.prepare("child", "base"), modeOf)).toBe(0o755);
      } finally {
        process.umask(before);
      }
    });

    it("renames files of lower layers, over others too (Rename)", async () => {
      await stack(
        all(put("dir1/a", "a"), put("dir1/b", "b"), put("dir2/c", "c")),
        (root) => rename(join(root, "dir1/a"), join(root, "dir1/a2")),
        (root) => rename(join(root, "dir1/a2"), join(root, "dir2/c")),
      );
    });

    it.skipIf(!renamesDirectories)("renames directories of lower layers (Rename)", async () => {
      await stack(
        all(put("dir1/a", "a"), put("dir1/deep/b", "b"), put("dir2/c", "c")),
        (root) => rename(join(root, "dir1"), join(root, "dir3")),
        (root) => rename(join(root, "dir3/deep"), join(root, "dir2/deep")),
      );
    });

    it("has sockets bound in it that go with their makers or stay", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      await bench.layer("base", undefined, put("run/file", "x"));
      await bench.write("active", "base", async (root) => {
        // A socket's path may be of 107 bytes only.
        const server = createServer();
        const before = process.cwd();
        process.chdir(join(root, "run"));
        try {
          await new Promise<void>((resolve, reject) => {
            server.once("error", reject);
            server.listen("socket", resolve);
          });
          expect((await lstat("socket")).isSocket()).toBe(true);
        } finally {
          process.chdir(before);
          await new Promise((resolve) => void server.close(resolve));
        }
      });
      await bench.snapshots.commit("with socket", "active");
      expect(await bench.see("with socket", (root) => readFile(join(root, "run/file"), "utf8"))).toBe("x");
    });

    it("says where one is in it", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      await bench.layer("base", undefined, put("a/b/c/file", "x"));
      await bench.see("base", async (root) => {
        const before = process.cwd();
        process.chdir(join(root, "a/b/c"));
        try {
          expect(process.cwd()).toBe(join(root, "a/b/c"));
          expect((await stat("../c/file")).ino).toBe((await stat("file")).ino);
        } finally {
          process.chdir(before);
        }
      });
    });

    it("stacks 128 layers that overwrite, add, remove and make again (128LayersMount)", async () => {
      await using bench = await SnapshotBench.open(makeDriver);
      const flat = await bench.directory();
      await chmod(flat, 0o755);
      const changes = [
        all(put("bottom", "way at the bottom\n"), put("overwriteme", "0"), put("ADDHERE/0", "0"), put("ONLYME/0", "0")),
        ...Array.from({ length: 127 }, (_, index) => {
          const number = index + 1;
          return all(
            put("overwriteme", `layer ${number}`),
            put(`ADDHERE/file-${number}`, `same ${number}`),
            drop("ONLYME"),
            put(`ONLYME/only-${number}`, `only ${number}`),
          );
        }),
      ];
      for (const [index, change] of changes.entries()) {
        await change(flat);
        await bench.layer(String(index), index === 0 ? undefined : String(index - 1), change);
      }
      await expectEqual(bench, "127", await readTree(flat));
      await bench.mounted(await bench.snapshots.prepare("top", "127"), (root) => writeFileSync(join(root, "more"), ""));
    });
  });
}
