/** Real programs that serve as peers and oracles: where they are, and whether their absence is a failure. */
import { accessSync, constants, globSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Every peer that some test asks for, by program name, with the Debian package that brings it. */
export const PEERS = {
  "docker-registry": "docker-registry",
  skopeo: "skopeo",
  umoci: "umoci",
  runc: "runc",
  buildah: "buildah",
  debootstrap: "debootstrap",
  bsdtar: "libarchive-tools",
  tar: "tar",
  python3: "python3",
  go: "golang-go",
  gzip: "gzip",
  zstd: "zstd",
  lz4: "lz4",
  igzip: "isal",
  pigz: "pigz",
  "mkfs.ext4": "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  "mkfs.btrfs": "btrfs-progs",
  fallocate: "util-linux",
  "qemu-img": "qemu-utils",
  openssl: "openssl",
  rdiff: "rdiff",
  podman: "podman",
  ctr: "containerd",
  containerd: "containerd",
  nginx: "nginx-light",
  chromium: "chromium",
  curl: "curl",
  unshare: "util-linux",
  setpriv: "util-linux",
  initdb: "postgresql",
  postgres: "postgresql",
  psql: "postgresql-client",
} as const;

export type PeerName = keyof typeof PEERS;

/** Under `VARVE_REQUIRE_PEERS=1` a missing peer fails the run instead of skipping its tests. */
export const peersRequired = process.env["VARVE_REQUIRE_PEERS"] === "1";

/** The program's path, or undefined when this machine lacks it. */
export function findPeer(name: PeerName): string | undefined {
  const path = [process.env["PATH"] ?? "", "/usr/sbin", "/sbin", ...postgresFolders()].join(delimiter);
  for (const dir of path.split(delimiter)) {
    const candidate = join(dir, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Debian keeps each version's programs in a folder of its own, away from PATH. */
function postgresFolders(): string[] {
  return globSync("/usr/lib/postgresql/*/bin").toSorted().toReversed();
}
