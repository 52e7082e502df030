/** What happens to file systems from one layer to the next; after containerd's `FSSuite`, and more. */
import {
  device,
  directory,
  fifo,
  file,
  hardlink,
  opaque,
  symlink,
  whiteout,
  type TreeNode,
} from "../trees/tree-node.ts";

const base = [
  directory("etc", { mode: 0o750, uid: 3, gid: 4 }),
  file("etc/hosts", "mydomain 10.0.0.1", { mode: 0o644 }),
  file("etc/profile", "PATH=/usr/bin", { mode: 0o600 }),
  directory("root", { mode: 0o700 }),
  file("root/.bashrc", "PATH=/usr/sbin"),
];

/** By name: layers from the lowest up. */
export const FILE_SYSTEM_CASES: readonly (readonly [string, TreeNode[][]])[] = [
  ["Basic", [base, [directory("root", { mode: 0o700 }), file("root/.bashrc", "PATH=/usr/bin")]]],
  ["Deletion", [base, [directory("etc", { mode: 0o750 }), whiteout("etc/hosts"), whiteout("root")]]],
  ["Update", [base, [directory("etc"), file("etc/hosts", "mydomain 10.0.0.120", { mode: 0o666 })]]],
  ["DirectoryPermission", [base, [directory("etc", { mode: 0o1777, uid: 9 })], [directory("root", { mode: 0o000 })]]],
  [
    "ParentDirectoryPermission",
    [
      [directory("d1", { mode: 0o700 }), directory("d2", { mode: 0o751 })],
      [directory("d1/d", { mode: 0o700 }), directory("d2/d", { mode: 0o777 })],
      [file("d1/d/f", "x"), file("d2/d/f", "x")],
    ],
  ],
  ["HardlinkUnmodified", [[...base, hardlink("etc/hosts2", "etc/hosts")], [file("new", "n")]]],
  ["HardlinkBeforeUnmodified", [base, [hardlink("etc/hosts2", "etc/hosts", { mode: 0o644 })]]],
  [
    "HardlinkBeforeModified",
    [
      [...base, hardlink("hosts2", "etc/hosts")],
      [file("etc/hosts", "changed"), hardlink("h3", "etc/hosts")],
    ],
  ],
  [
    "replace a file by each type and back",
    [
      [file("a", "1"), file("b", "1"), file("c", "1")],
      [directory("a"), symlink("b", "x"), fifo("c")],
      [symlink("a", "y"), fifo("b"), directory("c")],
      [file("a"), file("b"), file("c")],
    ],
  ],
  [
    "a directory replaced with content below it",
    [[directory("d"), directory("d/e"), file("d/e/f", "x")], [file("d", "now a file")]],
  ],
  ["opaque twice", [base, [directory("etc"), opaque("etc"), file("etc/a", "a")], [directory("etc"), opaque("etc")]]],
  [
    "owners, modes, times, devices",
    [
      [
        file("f", "x", { uid: 70_000, gid: 3_000_000, mode: 0o6755, mtime: 1_234_567_890_123_456_789n }),
        symlink("l", "f", { uid: 7, gid: 8, mtime: 5_000_000_001n }),
        fifo("p", { mode: 0o621, uid: 1 }),
        device("c", "char", 0xfff, 0xfffff, { mode: 0o4600 }),
        device("b", "block", 8, 1),
        directory("d", { mode: 0o2755, gid: 50, mtime: 1n }),
        file("d/f", "", { gid: 0 }),
        directory("d/e"),
      ],
    ],
  ],
];
