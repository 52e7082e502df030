/** Trees as wild as real images have them, and wilder: for "what was packed is what was unpacked". */
import type { Rng } from "../images/rng.ts";
import type { TreeNode } from "./tree-node.ts";

export interface RandomTreeOptions {
  /** Members, about. Default 100. */
  readonly size?: number;
  /** Bytes of the largest file. Default 64 KiB. */
  readonly maxFileSize?: number;
  /** Owners other than 0, which only root can set. Default true. */
  readonly owners?: boolean;
  /** `user.*` xattrs on files and directories. Default true. */
  readonly xattrs?: boolean;
  /** Character devices, which only root can make. Default true. */
  readonly devices?: boolean;
  /** Names that are not valid UTF-8, as surrogateescape. Default true. */
  readonly oddBytes?: boolean;
}

const MODES = [0o644, 0o600, 0o755, 0o400, 0o000, 0o4755, 0o2755, 0o1777, 0o666];
const DIRECTORY_MODES = [0o755, 0o700, 0o1777, 0o2775, 0o555, 0o711];
const PLAIN = ["bin", "etc", "lib.so.6", "README", "a", "x-y_z", "data.json", "src", "index.js", "..data", "-rf"];
const ODD = [
  "näme",
  "naïve ☃",
  "日本語",
  "emoji 🦦",
  "line\nbreak",
  "tab\there",
  'quo"te',
  "back\\slash",
  " lead",
  "trail ",
  "*?[x]",
  "e\u0301",
];

/** A tree in which parents come before children and a hard link after the file that it names. */
export function randomTree(rng: Rng, options: RandomTreeOptions = {}): TreeNode[] {
  const { size = 100, maxFileSize = 65_536, owners = true, xattrs = true, devices = true, oddBytes = true } = options;
  const nodes: TreeNode[] = [];
  const taken = new Set<string>([""]);
  const directories: string[] = [""];
  const linkable: TreeNode[] = [];

  const freshPath = (): string => {
    for (;;) {
      const parent = rng.pick(directories);
      const path = parent === "" ? randomName(rng, oddBytes) : `${parent}/${randomName(rng, oddBytes)}`;
      // Tools limit whole paths to PATH_MAX, and a name's bytes may be four times its characters.
      if (!taken.has(path) && path.length < 800) {
        taken.add(path);
        return path;
      }
    }
  };
  const owner = () => (owners && rng.chance(0.3) ? { uid: rng.int(70_000), gid: rng.int(3_000_000) } : {});
  const mtime = () =>
    BigInt(rng.between(0, 2_000_000_000)) * 1_000_000_000n + (rng.chance(0.5) ? BigInt(rng.int(1e9)) : 0n);
  const common = () => ({ ...owner(), mtime: mtime() });
  const withXattrs = () => (xattrs && rng.chance(0.15) ? { xattrs: randomXattrs(rng) } : {});

  for (let index = 0; index < size; index += 1) {
    const path = freshPath();
    const kind = rng.int(100);
    if (kind < 20) {
      directories.push(path);
      nodes.push({ type: "directory", path, mode: rng.pick(DIRECTORY_MODES), ...common(), ...withXattrs() });
    } else if (kind < 32) {
      nodes.push({ type: "symlink", path, target: randomTarget(rng, taken), ...common() });
    } else if (kind < 40 && linkable.length > 0) {
      const original = rng.pick(linkable);
      nodes.push({ ...original, type: "link", path, target: original.path, content: new Uint8Array() });
    } else if (kind < 43) {
      nodes.push({ type: "fifo", path, mode: 0o640, ...common() });
    } else if (kind < 45 && devices) {
      nodes.push({
        type: rng.pick(["char", "block"]),
        path,
        mode: 0o660,
        major: 1 + rng.int(200),
        minor: rng.int(200),
        ...common(),
      });
    } else {
      const length = rng.chance(0.15) ? 0 : rng.chance(0.3) ? 512 * rng.int(4) : rng.int(maxFileSize);
      const content = rng.chance(0.5) ? rng.text(length) : rng.bytes(length);
      const node: TreeNode = { type: "file", path, mode: rng.pick(MODES), content, ...common(), ...withXattrs() };
      nodes.push(node);
      linkable.push(node);
    }
  }
  return nodes;
}

function randomName(rng: Rng, oddBytes: boolean): string {
  const kind = rng.int(20);
  if (kind === 0) return `${rng.pick(ODD)}${rng.int(100)}`;
  // 120 two-byte characters: beyond ustar's 100 bytes, below NAME_MAX.
  if (kind === 1) return "ü".repeat(rng.between(40, 120));
  if (kind === 2) return "n".repeat(rng.between(95, 255));
  if (kind === 3 && oddBytes) return `${rng.int(1000)}\udcff\udcfe`;
  return `${rng.pick(PLAIN)}${rng.chance(0.7) ? rng.int(10_000) : ""}`;
}

function randomTarget(rng: Rng, taken: ReadonlySet<string>): string {
  const kind = rng.int(5);
  if (kind === 0) return `/${rng.pick([...taken])}`;
  if (kind === 1) return `../../${rng.pick(ODD)}`;
  if (kind === 2) return "t".repeat(rng.between(90, 300));
  return rng.pick([...taken]) || ".";
}

function randomXattrs(rng: Rng): Record<string, Uint8Array> {
  const entries = Array.from({ length: rng.between(1, 3) }, (_, index): [string, Uint8Array] => {
    const value = rng.chance(0.3) ? rng.bytes(rng.between(1, 100)) : Buffer.from(`value ${rng.int(1000)}`);
    return [`user.kit.${index}${rng.chance(0.2) ? "ü" : ""}`, value];
  });
  return Object.fromEntries(entries);
}
