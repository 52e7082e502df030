/** What containerd holds its differ and its snapshotters to, step by step: continuity's `FSSuite`, `TestRelativeSymlinks`, `TestSymlinks`. */
import { join } from "node:path";
import { runOk } from "../peers/run.ts";
import * as edit from "./edit-tree.ts";

const { createDir, createFile, chmod, edits, link, remove, removeAll, rename, symlink } = edit;

/** A small root file system. */
export const base = edits(
  createDir("etc", 0o755),
  createFile("etc/hosts", "127.0.0.1 localhost", 0o644),
  link("etc/hosts", "etc/hosts.allow"),
  createDir("usr/local/lib", 0o755),
  createFile("usr/local/lib/libnothing.so", Buffer.alloc(2), 0o755),
  symlink("libnothing.so", "usr/local/lib/libnothing.so.2"),
  createDir("home", 0o755),
  createDir("home/derek", 0o700),
);

const NEW_HOSTS = createFile("etc/hosts", "127.0.0.1 localhost.localdomain", 0o644);

/** Steps of one tree each; after each of them the tree is to be what it is. */
export const FS_SUITE: Readonly<Record<string, readonly edit.Edit[]>> = {
  Basic: [
    base,
    edits(
      NEW_HOSTS,
      createFile("etc/fstab", "/dev/sda1\t/\text4\tdefaults 1 1\n", 0o600),
      createFile("etc/badfile", "", 0o666),
      createFile("home/derek/.zshrc", "#ZSH is just better\n", 0o640),
    ),
    edits(remove("etc/badfile"), moveDirectory("home/derek", "home/notderek")),
    edits(removeAll("usr"), remove("etc/hosts.allow")),
    edits(
      removeAll("home"),
      createDir("home/derek", 0o700),
      createFile("home/derek/.bashrc", "#not going away\n", 0o640),
      link("etc/hosts", "etc/hosts.allow"),
    ),
  ],
  Deletion: [
    edits(createDir("test/somedir", 0o755), createDir("lib", 0o700), createFile("lib/hidden", "", 0o644)),
    edits(
      createFile("test/a", "", 0o644),
      createFile("test/b", "", 0o644),
      createDir("test/otherdir", 0o755),
      createFile("test/otherdir/.empty", "", 0o644),
      removeAll("lib"),
      createDir("lib", 0o700),
      createFile("lib/not-hidden", "", 0o644),
    ),
    edits(remove("test/a"), remove("test/b"), removeAll("test/otherdir"), createFile("lib/newfile", "", 0o644)),
  ],
  Update: [
    edits(
      createDir("d1", 0o755),
      createDir("d2", 0o700),
      createFile("d1/f1", "something...", 0o644),
      createFile("d1/f2", "else...", 0o644),
      createFile("d1/f3", "entirely...", 0o644),
    ),
    edits(
      createFile("d1/f1", "file content of a different length", 0o664),
      remove("d1/f3"),
      createFile("d1/f3", "updated content", 0o664),
      chmod("d1/f2", 0o766),
      chmod("d2", 0o777),
    ),
  ],
  DirectoryPermission: [
    edits(createDir("d1", 0o700), createDir("d2", 0o751), createDir("d3", 0o777)),
    edits(
      createFile("d1/f", "irrelevant", 0o644),
      createDir("d1/d", 0o700),
      createFile("d1/d/f", "irrelevant", 0o644),
      createFile("d2/f", "irrelevant", 0o644),
      createFile("d3/f", "irrelevant", 0o644),
    ),
  ],
  ParentDirectoryPermission: [
    edits(
      createDir("d1", 0o700),
      createDir("d1/a", 0o700),
      createDir("d1/a/b", 0o700),
      createDir("d1/a/b/c", 0o700),
      createFile("d1/a/b/f", "content1", 0o644),
      createDir("d2", 0o751),
      createDir("d2/a/b", 0o751),
      createDir("d2/a/b/c", 0o751),
      createFile("d2/a/b/f", "content1", 0o644),
    ),
    edits(
      createFile("d1/a/b/f", "content1", 0o644),
      chmod("d1/a/b/c", 0o700),
      createFile("d2/a/b/f", "content2", 0o644),
      chmod("d2/a/b/c", 0o751),
    ),
  ],
  HardlinkUnmodified: [base, NEW_HOSTS, link("etc/hosts", "etc/hosts.deny")],
  HardlinkBeforeUnmodified: [base, NEW_HOSTS, link("etc/hosts", "etc/before-hosts")],
  HardlinkBeforeModified: [
    base,
    NEW_HOSTS,
    edits(
      remove("etc/hosts"),
      createFile("etc/hosts", "127.0.0.1 localhost", 0o644),
      link("etc/hosts", "etc/before-hosts"),
    ),
  ],
  // LayerFileupdate of the snapshotter suite: the same size, the same second, five times.
  LayerFileupdate: [1, 2, 3, 4, 5].map((index) => createFile("f", `content ${index}`, 0o644)),
};

/** On top of {@link base}. */
export const RELATIVE_SYMLINKS: Readonly<Record<string, edit.Edit>> = {
  "within, up and down": edits(
    symlink("../other", "home/derek/other"),
    symlink("../../etc", "home/derek/etc"),
    symlink("up/../../other", "home/derek/updown"),
  ),
  "out of a home": symlink("../../../breakout", "home/derek/breakout"),
  "out of the root": symlink("../../breakout", "breakout"),
  "up and out": symlink("etc/../../upandout", "breakout"),
  "down and out": symlink("derek/../../../downandout", "home/breakout"),
  absolute: symlink("/etc", "localetc"),
};

const binary = (path: string): edit.Edit => createFile(path, Buffer.alloc(2), 0o755);
export const SYMLINKS: readonly (readonly [edit.Edit, edit.Edit])[] = [
  [
    edits(createDir("bin", 0o755), binary("bin/superbinary"), symlink("../bin/superbinary", "bin/other1")),
    edits(
      remove("bin/other1"),
      symlink("/bin/superbinary", "bin/other1"),
      symlink("../bin/superbinary", "bin/other2"),
      symlink("superbinary", "bin/other3"),
    ),
  ],
  [
    edits(
      createDir("bin", 0o755),
      createDir("sbin", 0o755),
      binary("sbin/superbinary"),
      symlink("/sbin/superbinary", "bin/superbinary"),
      symlink("../bin/superbinary", "bin/other1"),
    ),
    edits(remove("bin/other1"), symlink("/bin/superbinary", "bin/other1"), symlink("superbinary", "bin/other2")),
  ],
  [
    edits(
      createDir("bin", 0o755),
      createDir("sbin", 0o755),
      binary("sbin/superbinary"),
      symlink("../sbin/superbinary", "bin/superbinary"),
      symlink("../bin/superbinary", "bin/other1"),
    ),
    edits(remove("bin/other1"), symlink("/bin/superbinary", "bin/other1")),
  ],
  [
    edits(
      createDir("bin", 0o755),
      binary("bin/actualbinary"),
      symlink("actualbinary", "bin/superbinary"),
      symlink("../bin/superbinary", "bin/other1"),
      symlink("superbinary", "bin/other2"),
    ),
    edits(
      remove("bin/other1"),
      remove("bin/other2"),
      symlink("/bin/superbinary", "bin/other1"),
      symlink("superbinary", "bin/other2"),
    ),
  ],
  [
    edits(createDir("bin", 0o755), binary("bin/actualbinary"), symlink("actualbinary", "bin/myapp")),
    edits(remove("bin/myapp"), createDir("bin/myapp", 0o755)),
  ],
];

/** As `mv` does it where the file system refuses to rename directories. */
function moveDirectory(from: string, to: string): edit.Edit {
  return async (root) => {
    try {
      await rename(from, to)(root);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      await runOk("mv", [join(root, from), join(root, to)]);
    }
  };
}
