/** A real image of Debian, by builders, a registry, an unpacker and a runtime that know nothing of varve. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/digest.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import type { UnpackResult } from "../../../src/transfer/unpack.ts";
import { mountsBelow } from "../../kit/mounts/mount-dir.ts";
import { peersRequired } from "../../kit/peers.ts";
import { startDockerRegistry } from "../../kit/peers/docker-registry.ts";
import { run, runOk, type RunResult } from "../../kit/peers/run.ts";
import { VARVE_BIN, varveEnvironment } from "../../kit/peers/varve.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import { unmountBelow } from "../../kit/unmount-below.ts";
import { diffTrees } from "../../kit/trees/diff-trees.ts";
import { readTree, type TreeEntry } from "../../kit/trees/read-tree.ts";
import { newMachine, type Machine } from "../machine.ts";
import { DRIVERS } from "../mounting.ts";
import { storeFaults } from "../store-health.ts";
import { buildDebian, DEBIAN_PEERS, MirrorUnreachable, RELEASE, type BuiltImage } from "./debian/build-debian.ts";
import { isRoot, lacks, program, skopeoCopy, skopeoRaw, umociUnpack } from "./programs.ts";

/** `unshare` to a user who is nobody special. */
const UNPRIVILEGED = ["--user", "--map-user=1000", "--map-group=1000"];
const SETUP_MS = 300_000;
const MOUNTED = DRIVERS.filter((driver) => driver !== "copy");
/** What a container does to its image, and what there is to tell of it but changed directories. */
const WRITES = `
  echo changed > /etc/debian_version
  rm -r /etc/issue.net /usr/share/base-files
  mkdir -p /opt/new && echo new > /opt/new/file
  mv /srv/long-link /opt/moved
  echo written`;
const WRITTEN = [
  "D etc/issue.net",
  "C etc/debian_version",
  "A opt/moved",
  "A opt/new",
  "A opt/new/file",
  "D srv/long-link",
  "D usr/share/base-files",
  "",
];
/** Trees of thousands of files are read on a machine that may have other work. */
const TREES_MS = 180_000;

describe.skipIf(lacks(...DEBIAN_PEERS, "docker-registry", "skopeo", "runc") || !isRoot)("an image of Debian", () => {
  const things = new AsyncDisposableStack();
  let built: BuiltImage;
  let machine: Machine;
  let reference: string;
  let unreachable: string | undefined;
  /** What umoci makes of it. */
  let umociTree: readonly TreeEntry[];

  beforeAll(async () => {
    const dir = things.use(await tempDir("varve-debian-"));
    // A build that took too long may still have something mounted.
    things.defer(() => unmountBelow(dir.path));
    try {
      built = await buildDebian(dir.path);
    } catch (error) {
      if (!(error instanceof MirrorUnreachable) || peersRequired) throw error;
      unreachable = error.message.trim();
      console.log(`no way to Debian's packages, tests of a real image are SKIPPED: ${unreachable}`);
      return;
    }
    const registry = things.use(await startDockerRegistry());
    machine = things.use(await newMachine());
    // What a test that failed has left mounted, before the machine's directory goes.
    things.defer(() => unmountBelow(machine.path));
    reference = `${registry.host}/e2e/debian:12`;
    await skopeoCopy(`oci:${built.layout}:${built.tag}`, `docker://${reference}`);
    await execOk("pull", reference);
    umociTree = await readTree(await umociUnpack(`${built.layout}:${built.tag}`, join(machine.path, "umoci")));
  }, SETUP_MS);

  afterAll(() => things.disposeAsync(), SETUP_MS);

  beforeEach((context) => context.skip(unreachable !== undefined, "no way to Debian's packages"));

  async function execOk(...args: string[]): Promise<unknown> {
    const { code, json, stdout, stderr } = await machine.exec(["--json", "--progress", "none", ...args]);
    if (code !== 0) throw new Error(`varve ${args.join(" ")} ended with ${code}\n${stdout}\n${stderr}`);
    return json;
  }

  it("is pulled whole and as it was pushed; the second pull moves nothing", async () => {
    const again = (await execOk("pull", reference)) as PullResult;
    expect(again).toMatchObject({ status: "up-to-date", bytes: { network: 0 }, platform: "linux/amd64" });
    expect(again.layers).toHaveLength(built.layers);
    expect(again.digest).toBe(digestOf(await skopeoRaw(`docker://${reference}`)));
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("unpacks to umoci's tree, entry by entry", { timeout: TREES_MS }, async () => {
    const rootfs = join(machine.path, "rootfs");
    const unpacked = (await execOk("unpack", reference, rootfs)) as UnpackResult;
    const tree = await readTree(rootfs);
    expect(diffTrees(asVarveDoes(umociTree), tree)).toEqual([]);
    expect(unpacked.skipped).toEqual({ owners: 0, devices: 0, xattrs: 1 });
    expectEverySort(tree);
  });

  it("runs from the bundle, and its exit status comes through", async () => {
    const bundle = join(machine.path, "bundle");
    await execOk("unpack", "--bundle", reference, bundle);
    const { code, stdout } = await runc(bundle);
    expect(stdout.toString()).toContain(`VERSION_CODENAME=${RELEASE}\n`);
    expect(code).toBe(0);

    const path = join(bundle, "config.json");
    const config = JSON.parse(await readFile(path, "utf8")) as { process: { args: string[] } };
    config.process.args = ["/bin/sh", "-c", "id; exit 7"];
    await writeFile(path, JSON.stringify(config));
    const edited = await runc(bundle);
    expect(edited.stdout.toString()).toMatch(/^uid=0\(root\) gid=0\(root\)/);
    expect(edited.code).toBe(7);
  });

  it("unpacks without privileges but for owners, devices and capabilities", { timeout: TREES_MS }, async (context) => {
    context.skip((await run(program("unshare"), [...UNPRIVILEGED, "true"])).code !== 0, "no user namespaces here");
    const bundle = join(machine.path, "rootless");
    const args = ["--root", machine.root, "--progress", "none", "unpack", "--bundle", reference, bundle];
    const env = varveEnvironment({ env: { HOME: machine.path } });
    await runOk(program("unshare"), [...UNPRIVILEGED, process.execPath, VARVE_BIN, ...args], { env });
    const tree = await readTree(join(bundle, "rootfs"));
    const wanted = withoutPrivileges(asVarveDoes(umociTree));
    expect(diffTrees(wanted, tree, { ignore: ["uid", "gid"] })).toEqual([]);
    const { code, stdout } = await runc(bundle, program("unshare"), ...UNPRIVILEGED);
    expect(stdout.toString()).toContain(`VERSION_CODENAME=${RELEASE}\n`);
    expect(code).toBe(0);
  });

  it.skipIf(MOUNTED.length === 0).each(MOUNTED)(
    "is umoci's tree mounted from %s, and a container runs on it that cannot write",
    { timeout: TREES_MS },
    async (driver) => {
      await execOk("pull", "--snapshotter", driver, reference);
      const place = join(machine.path, `read-${driver}`);
      await mkdir(place);
      await execOk("mount", "--snapshotter", driver, reference, place);
      expect(diffTrees(asVarveDoes(umociTree), await readTree(place))).toEqual([]);
      const { code, stdout, stderr } = await shellOn(place, true, "cat /etc/debian_version; echo x > /etc/new");
      expect([stdout.toString(), stderr]).toEqual(["replaced\n", expect.stringContaining("Read-only file system")]);
      expect(code).not.toBe(0);
      expect(await execOk("umount", place)).toMatchObject({ kept: false, driver });
    },
  );

  it.skipIf(MOUNTED.length === 0).each(MOUNTED)(
    "is written to by a container on %s, into the upper directory only",
    { timeout: TREES_MS },
    async (driver) => {
      const [place, beside] = [join(machine.path, `write-${driver}`), join(machine.path, `beside-${driver}`)];
      await Promise.all([mkdir(place), mkdir(beside)]);
      await execOk("mount", "--snapshotter", driver, reference, beside);
      const key = `debian-${driver}`;
      await execOk("mount", "--snapshotter", driver, "--rw", "--key", key, reference, place);
      const { code, stdout, stderr } = await shellOn(place, false, WRITES);
      expect([code, stdout.toString(), stderr]).toEqual([0, "written\n", ""]);
      expect(await execOk("umount", place)).toMatchObject({ snapshot: key, kept: true });
      const { stdout: changes } = await machine.exec(["diff", key]);
      expect(changes.split("\n").filter((line) => !line.startsWith("C ") || line === "C etc/debian_version")).toEqual(
        WRITTEN,
      );
      expect(diffTrees(asVarveDoes(umociTree), await readTree(beside))).toEqual([]);
      await execOk("umount", beside);

      await execOk("commit", key, `made:${driver}`);
      await execOk("mount", "--snapshotter", driver, `made:${driver}`, place);
      const again = await shellOn(place, true, "cat /etc/debian_version /opt/new/file; test ! -e /etc/issue.net");
      expect([again.code, again.stdout.toString(), again.stderr]).toEqual([0, "changed\nnew\n", ""]);
      await execOk("umount", place);
      expect(mountsBelow(machine.path)).toEqual([]);
    },
  );

  /** Runs a script in a container whose root is mounted already. */
  async function shellOn(root: string, readonly: boolean, script: string): Promise<RunResult> {
    const bundle = join(machine.path, `bundle-${randomUUID()}`);
    await mkdir(bundle);
    await runOk(program("runc"), ["spec", "--bundle", bundle]);
    const path = join(bundle, "config.json");
    const config = JSON.parse(await readFile(path, "utf8")) as Record<string, object>;
    config["root"] = { path: root, readonly };
    config["process"] = { ...config["process"], terminal: false, args: ["/bin/sh", "-c", script] };
    await writeFile(path, JSON.stringify(config));
    return runc(bundle);
  }

  async function runc(bundle: string, ...through: string[]): Promise<RunResult> {
    const id = `varve-${randomUUID()}`;
    const state = ["--root", join(machine.path, "runc")];
    const [first, ...rest] = [...through, program("runc"), ...state] as [string, ...string[]];
    try {
      return await run(first, [...rest, "run", "--bundle", bundle, id]);
    } finally {
      // Gone already when it ended by itself.
      await run(first, [...rest, "delete", "--force", id]);
    }
  }
});

/**
 * Where umoci follows the archive and varve does not, both on purpose: times before 1970 become 1970 (as in every engine's
 * store, see src/layer/times.ts), and `trusted.*` attributes of an archive are left out (they are the overlay's own).
 */
function asVarveDoes(tree: readonly TreeEntry[]): TreeEntry[] {
  return tree.map((entry) => ({
    ...entry,
    mtime: entry.mtime < 0n ? 0n : entry.mtime,
    xattrs: Object.fromEntries(Object.entries(entry.xattrs).filter(([name]) => !name.startsWith("trusted."))),
  }));
}

/** Without a right to owners no file is setuid or setgid, because it would be so for somebody else. */
function withoutPrivileges(tree: readonly TreeEntry[]): TreeEntry[] {
  return tree.filter(({ type }) => type !== "char" && type !== "block").map(unprivileged);
}

function unprivileged(entry: TreeEntry): TreeEntry {
  const mode = entry.type === "file" ? entry.mode & 0o1777 : entry.mode;
  const xattrs = Object.entries(entry.xattrs).filter(([name]) => !name.startsWith("security."));
  return { ...entry, mode, xattrs: Object.fromEntries(xattrs) };
}

/** That the two trees are equal would mean little if what the layers do was in neither. */
function expectEverySort(tree: readonly TreeEntry[]): void {
  const at = new Map(tree.map((entry) => [entry.path, entry]));
  expect(tree.length).toBeGreaterThan(4000);
  const absent = ["etc/issue", "usr/share/doc", "usr/bin/at", "srv/sticky", "usr/local/bin/capable-too"];
  expect(absent.filter((path) => at.has(path))).toEqual([]);
  expect(tree.filter(({ path }) => path.startsWith("etc/cron.d/")).map(({ path }) => path)).toEqual(["etc/cron.d/own"]);
  expect(at.get("media")).toMatchObject({ type: "symlink", target: "mnt" });
  expect(at.get("etc/issue.net")).toMatchObject({ type: "directory" });
  expect(at.get("etc/issue.net/file")).toMatchObject({ uid: 99, gid: 99 });
  expect(at.get("usr/local/bin/setuid")).toMatchObject({ mode: 0o4755, linkedTo: "srv/umoci/setuid" });
  expect(at.get("usr/local/bin/setgid")).toMatchObject({ mode: 0o4711, uid: 7, gid: 1_234_567 });
  expect(at.get("usr/local/bin/capable")?.xattrs).toHaveProperty(["security.capability"]);
  expect(at.get("usr/bin/ping")?.xattrs).toHaveProperty(["security.capability"]);
  expect(at.get("usr/bin/sudo")).toMatchObject({ mode: 0o4755 });
  expect(at.get("srv/dev/null")).toMatchObject({ type: "char", major: 1, minor: 3, mode: 0o666, uid: 33, gid: 26 });
  expect(at.get("srv/dev/loop")).toMatchObject({ type: "block", major: 7, minor: 200 });
  expect(at.get("srv/dev/large")).toMatchObject({ type: "char", major: 510, minor: 300_000 });
  expect(at.get("srv/dev/fifo")).toMatchObject({ type: "fifo" });
  expect(at.get("srv/debian_version")).toMatchObject({ size: 9, linkedTo: "etc/debian_version" });
  expect(at.get("srv/times/nanoseconds")).toMatchObject({ mtime: 981_173_106_123_456_789n });
  expect(at.get("srv/times")?.xattrs).toEqual({ "user.varve.directory": Buffer.from("yes").toString("hex") });
  expect(at.get("srv/sparse")).toMatchObject({ size: (5 << 20) + 3 });
  expect(at.has("srv/not-utf-8-\udce9\udcff")).toBe(true);
  expect(tree.some(({ path }) => path.length > 600)).toBe(true);
}
