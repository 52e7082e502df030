/** Archives made by other people's tars, of one tree that has everything: the corpus for codec tests. */
import { execFileSync } from "node:child_process";
import { chmod, link, mkdir, open, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findPeer } from "../kit/peers.ts";

export interface PeerArchive {
  readonly maker: string;
  readonly bytes: Buffer;
  readonly sparse: boolean;
}

const LIMIT = 64 * 1024 * 1024;

/** A small tree: odd sizes, long and odd names, all links, an empty directory, holes. */
export async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, "dir/empty"), { recursive: true });
  for (const size of [0, 1, 511, 512, 513, 20_000])
    await writeFile(join(root, `dir/size-${size}`), Buffer.alloc(size, "x"));
  await writeFile(join(root, "größe-日本"), "utf8");
  await writeFile(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.of(0xe9)]), "latin1");
  await writeFile(join(root, "dir", "n".repeat(150)), "long name");
  await symlink("../".repeat(50), join(root, "long-symlink"));
  await symlink("dir/size-1", join(root, "symlink"));
  await link(join(root, "dir/size-513"), join(root, "hardlink"));
  await chmod(join(root, "dir/size-1"), 0o4755);
  await utimes(join(root, "dir/size-0"), 1_700_000_000.25, 1_700_000_000.5);
  await makeSparse(join(root, "sparse"), 40);
  await makeSparse(join(root, "hole"), 0);
}

/** A megabyte a step, with a page of data in each of the first steps, and a hole at the end. */
async function makeSparse(path: string, extents: number): Promise<void> {
  const file = await open(path, "w");
  for (let i = 0; i < extents; i++) await file.write(Buffer.alloc(4096, i + 1), 0, 4096, i * 16_384);
  await file.truncate(1024 * 1024);
  await file.close();
}

interface Maker {
  readonly peer: "tar" | "bsdtar";
  readonly sparse: boolean;
  readonly args: string;
}

const MAKERS: readonly Maker[] = [
  { peer: "tar", sparse: false, args: "--format=v7" },
  { peer: "tar", sparse: false, args: "--format=oldgnu" },
  { peer: "tar", sparse: false, args: "--format=gnu" },
  { peer: "tar", sparse: false, args: "--format=ustar" },
  { peer: "tar", sparse: false, args: "--format=posix --xattrs" },
  { peer: "tar", sparse: true, args: "--format=oldgnu --sparse" },
  { peer: "tar", sparse: true, args: "--format=gnu --sparse" },
  { peer: "tar", sparse: true, args: "--format=posix --sparse --sparse-version=0.0" },
  { peer: "tar", sparse: true, args: "--format=posix --sparse --sparse-version=0.1" },
  { peer: "tar", sparse: true, args: "--format=posix --sparse --sparse-version=1.0" },
  { peer: "bsdtar", sparse: false, args: "--no-read-sparse --format=v7tar" },
  { peer: "bsdtar", sparse: false, args: "--no-read-sparse --format=ustar" },
  { peer: "bsdtar", sparse: false, args: "--no-read-sparse --format=pax" },
  { peer: "bsdtar", sparse: false, args: "--no-read-sparse --format=gnutar" },
  { peer: "bsdtar", sparse: true, args: "--read-sparse --format=pax" },
];

/** With a global header in PAX, which nobody else here writes. */
const PYTHON = `
import sys, tarfile
format = getattr(tarfile, sys.argv[1] + "_FORMAT")
extra = dict(pax_headers={"comment": "global"}) if sys.argv[1] == "PAX" else {}
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=format, encoding="utf-8", **extra) as archive:
    for name in ["hardlink", "symlink", "hole", "größe-日本"] + (["dir", "long-symlink"] if format != 0 else []):
        archive.add(name)
`;

function pythonArchives(root: string): PeerArchive[] {
  const program = findPeer("python3");
  if (program === undefined) return [];
  return ["USTAR", "GNU", "PAX"].flatMap((format) => {
    const bytes = make(program, ["-c", PYTHON, format], root);
    return bytes === undefined ? [] : [{ maker: `python ${format}`, bytes, sparse: false }];
  });
}

/** Every archive that the programs on this machine can make of the tree. */
export function archivesOf(root: string): PeerArchive[] {
  const archives = MAKERS.flatMap(({ peer, sparse, args }) => {
    const program = findPeer(peer);
    if (program === undefined) return [];
    const bytes = make(program, [...args.split(" "), "-c", "-f", "-", "."], root);
    return bytes === undefined ? [] : [{ maker: `${peer} ${args}`, bytes, sparse }];
  });
  return [...archives, ...pythonArchives(root)];
}

/** The old formats cannot hold every name: the programs leave those out and exit with 1 or 2. */
function make(program: string, args: readonly string[], root: string): Buffer | undefined {
  try {
    return execFileSync(program, args, {
      cwd: root,
      maxBuffer: LIMIT,
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
  } catch (error) {
    const { stdout, status } = error as { stdout?: Buffer; status?: number };
    return status !== undefined && status !== null && status <= 2 && stdout !== undefined ? stdout : undefined;
  }
}
