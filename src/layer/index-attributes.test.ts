/** The kernel is the judge: what it makes of an attribute is what a tree in memory must have of it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRng, type Rng } from "../../test/kit/images/rng.ts";
import { compareAppliers } from "../../test/kit/layer/compare-appliers.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { directory, fifo, file, hardlink, symlink, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import { xattrCalls } from "../sys/xattr.ts";

const asRoot = process.getuid?.() === 0;
const ACCESS = "system.posix_acl_access";
const DEFAULT = "system.posix_acl_default";

/** Entries of an access list, right ones as a rule. */
function randomAcl(rng: Rng): Buffer {
  const entry = (tag: number, id = 0xffff_ffff): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16LE(tag, 0);
    bytes.writeUInt16LE(rng.int(8), 2);
    bytes.writeUInt32LE(id, 4);
    return bytes;
  };
  const named = (tag: number): Buffer[] => Array.from({ length: rng.int(3) }, () => entry(tag, rng.int(9)));
  const [users, groups] = [named(2), named(8)];
  const mask = users.length + groups.length > 0 || rng.chance(0.3) ? [entry(16, rng.chance(0.5) ? 3 : undefined)] : [];
  const entries = [entry(1, rng.chance(0.2) ? 7 : undefined), ...users, entry(4), ...groups, ...mask, entry(32)];
  if (rng.chance(0.15)) entries.splice(rng.int(entries.length), 1);
  if (rng.chance(0.1)) entries.push(entry(rng.pick([1, 2, 3, 16, 64]), rng.pick([1, 0xffff_ffff])));
  if (rng.chance(0.05)) entries.length = 0;
  const head = Buffer.from([rng.chance(0.05) ? 1 : 2, 0, 0, 0]);
  return Buffer.concat([head, ...entries, Buffer.alloc(rng.chance(0.05) ? 3 : 0)]);
}

function randomCapability(rng: Rng): Buffer {
  const bytes = Buffer.from(rng.bytes(rng.pick([20, 20, 24, 24, 12, 3])));
  if (bytes.length >= 4) bytes.writeUInt32LE((rng.pick([1, 2, 2, 3, 3]) << 24) | rng.int(3), 0);
  // A root of version 3 that is root itself makes the kernel show version 2.
  if (bytes.length === 24) bytes.writeUInt32LE(1 + rng.int(1000), 20);
  return bytes;
}

function randomXattr(rng: Rng): [name: string, value: Buffer] {
  switch (rng.int(6)) {
    case 0:
      return [ACCESS, randomAcl(rng)];
    case 1:
      return [DEFAULT, randomAcl(rng)];
    case 2:
      return ["security.capability", randomCapability(rng)];
    case 3:
      return [
        rng.pick(["user.", "security.", "user", "system.x", "trusted.x", "user.overlay.x", "", "btrfs.x"]),
        Buffer.from("v"),
      ];
    case 4:
      return [`user.${"n".repeat(rng.between(245, 255))}`, Buffer.from("v")];
    default:
      return [rng.pick(["user.a", "security.selinux", "security.x"]), Buffer.from(rng.bytes(1 + rng.int(9)))];
  }
}

/** Members of every type, some of which come again. */
function randomMembers(rng: Rng): TreeNode[] {
  return Array.from({ length: rng.between(1, 4) }, () => {
    const [name, value] = randomXattr(rng);
    const rest = { mode: rng.int(0o10000), uid: rng.int(2), xattrs: { [name]: value } };
    const make = [
      () => file("f", "x", rest),
      () => directory("d", rest),
      () => symlink("l", "f", rest),
      () => fifo("p", rest),
      () => hardlink("h", rng.pick(["f", "l", "p"]), rest),
    ];
    return rng.pick(make)();
  });
}

describe.skipIf(!asRoot)("extended attributes (need root)", () => {
  it("are kept, changed, left out and refused as the kernel does it", async ({ skip }) => {
    await using dir = await tempDir();
    mkdirSync(join(dir.path, "probe"));
    const acl = Buffer.from(
      "0200000001000700ffffffff04000500ffffffff080007000700000010000700ffffffff20000000ffffffff",
      "hex",
    );
    if (xattrCalls().set(join(dir.path, "probe"), DEFAULT, acl) < 0) return skip("the file system has no access lists");
    const base = packTree([file("f", "x"), symlink("l", "f"), fifo("p"), directory("d")]);
    const failures = new Set<string>();
    for (let seed = 1; seed <= 300; seed++) {
      const tars = [base, packTree(randomMembers(createRng(seed)))];
      const compared = await compareAppliers(join(dir.path, "tree"), tars);
      expect({ seed, differences: compared.differences }).toEqual({ seed, differences: [] });
      failures.add(compared.failure ?? "none");
    }
    expect(failures).toEqual(new Set(["none", "LAYER_INVALID at layer 1", "PERMISSION at layer 1"]));
  });
});
