/** `varve snapshots`, `diff` and `commit` as scripts use them, on each driver that works here. */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import type { DriverReport } from "../../src/snapshot/probe.ts";
import type { DriverName } from "../../src/snapshot/types.ts";
import type { CommitResult } from "../../src/transfer/commit-image.ts";
import type { PreparedSnapshot, SnapshotRow } from "../../src/transfer/manage-snapshots.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { findPeer } from "../kit/peers.ts";
import { run } from "../kit/peers/run.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import type { Machine } from "./machine.ts";
import { CAN_MOUNT, DRIVERS, execOk, expectTidy, mountMachine, placeFor, snapshotsOf, topOf } from "./mounting.ts";
import { sampleImage, sampleLayers } from "./samples.ts";

const unshare = findPeer("unshare");
const EPOCH = "1600000000";

let registry: KitRegistry;
let image: KitImage;
let name: string;

beforeAll(async () => {
  registry = await startRegistry();
  image = await sampleImage();
  name = `${registry.host}/app:1`;
  await pushImage(registry.host, "app", "1", image);
});
afterAll(() => registry.close());

async function withImage(...drivers: DriverName[]): Promise<{ machine: Machine; place: string }> {
  const machine = await mountMachine({ ...(drivers.length === 1 && { VARVE_SNAPSHOTTER: drivers[0] ?? "" }) });
  for (const driver of drivers) await machine.pull("--snapshotter", driver, name);
  return { machine, place: placeFor(machine) };
}

/** What a container may do to its image. */
function edit(place: string): void {
  writeFileSync(join(place, "etc/new"), "changed");
  chmodSync(join(place, "etc/passwd"), 0o600);
  rmSync(join(place, "srv"), { recursive: true });
  mkdirSync(join(place, "srv"), { mode: 0o711 });
  writeFileSync(join(place, "srv/alone"), "made anew");
  renameSync(join(place, "late"), join(place, "later"));
  mkdirSync(join(place, "d/e"), { recursive: true });
  linkSync(join(place, "srv/alone"), join(place, "d/e/too"));
  symlinkSync("e/too", join(place, "d/link"));
}

async function written(machine: Machine, key: string, place: string, ...flags: string[]): Promise<void> {
  await machine.ok("mount", ...flags, "--rw", "--key", key, name, place);
  edit(place);
  await machine.ok("umount", place);
}

describe.each(DRIVERS)("snapshots on %s", (driver) => {
  it("live as containerd has it", async () => {
    const { machine, place } = await withImage(driver);
    const top = topOf(image);
    const prepared = (await execOk(machine, ["snapshots", "prepare", "work", name])) as PreparedSnapshot;
    expect(prepared).toEqual({ key: "work", kind: "active", driver, parent: top, mounts: expect.any(Array) });
    for (const mount of prepared.mounts) {
      expect(mount).toEqual(
        expect.objectContaining({
          type: expect.stringMatching(/^(erofs|overlay|bind)$/),
          source: expect.any(String),
          options: expect.any(Array),
        }),
      );
    }
    expect(await machine.ok("snapshots", "mounts", "work")).toEqual(prepared.mounts);
    expect((await machine.varve("-q", "snapshots", "view", "look", top)).stdout).toBe("look\n");
    expect(await machine.ok("snapshots", "usage", "work")).toEqual({
      key: "work",
      bytes: expect.any(Number),
      inodes: expect.any(Number),
    });

    await machine.ok("mount", "--rw", "work", place);
    writeFileSync(join(place, "new"), "new");
    await machine.ok("umount", place);
    const row = (await machine.ok("snapshots", "commit", "done", "work")) as SnapshotRow;
    expect(row).toEqual({
      key: "done",
      kind: "committed",
      driver,
      parent: top,
      bytes: expect.any(Number),
      inodes: expect.any(Number),
      labels: {},
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    await machine.ok("mount", "done", place);
    expect(readFileSync(join(place, "new"), "utf8")).toBe("new");
    await machine.ok("umount", place);
    expect(await snapshotsOf(machine)).toEqual([
      ...(await snapshotsOf(machine)).filter((line) => line.startsWith("committed sha256:")),
      "committed done",
      "view look",
    ]);
    await machine.ok("snapshots", "prepare", "child", "done");
    expect(await machine.fails("snapshots", "rm", "done")).toMatchObject({ code: "SNAPSHOT_STATE", exit: 1 });
    expect(await machine.ok("snapshots", "rm", "child", "done", "look")).toEqual(["child", "done", "look"]);
    await expectTidy(machine);
  });

  it("are put on a parent as they are committed, when they have none", async () => {
    const { machine, place } = await withImage(driver);
    await machine.ok("snapshots", "prepare", "alone");
    await machine.ok("mount", "--rw", "alone", place);
    mkdirSync(join(place, "opt"));
    writeFileSync(join(place, "opt/tool"), "tool");
    await machine.ok("umount", place);
    expect(await machine.fails("snapshots", "commit", "--parent", "none", "done", "alone")).toMatchObject({
      code: "SNAPSHOT_NOT_FOUND",
    });
    await machine.ok("snapshots", "commit", "--parent", topOf(image), "done", "alone");
    await machine.ok("mount", "done", place);
    const wanted = expectedTree(sampleLayers());
    const own = (await readTree(place)).filter(({ path }) => !/^opt(\/|$)/.test(path));
    expect(diffTrees(wanted, own, { root: false, directoryTimes: false })).toEqual([]);
    expect(readFileSync(join(place, "opt/tool"), "utf8")).toBe("tool");
    await machine.ok("umount", place);
    await machine.ok("snapshots", "prepare", "other", name);
    expect(await machine.fails("snapshots", "commit", "--parent", "done", "more", "other")).toMatchObject({
      code: "SNAPSHOT_INVALID",
      exit: 2,
    });
    await expectTidy(machine);
  });

  it.skipIf(unshare === undefined)("are mounted by a shell that does what is printed", async (context) => {
    const { machine, place } = await withImage(driver);
    const root = join(machine.path, "a store's");
    renameSync(machine.root, root);
    const { code, stdout } = await machine.varve("--root", root, "snapshots", "prepare", "work", name);
    expect(code).toBe(0);
    const lines = stdout.replaceAll(" DIR\n", ' "$1"\n');
    const script = `set -e\n${lines}echo hello > "$1/hello"; cat "$1/etc/new"`;
    // Its mounts end with its namespace.
    const shell = await run(unshare ?? "", ["--mount", "sh", "-c", script, "sh", place]);
    context.skip(shell.stderr.includes("on /dev/loop"), "this mount(8) makes loop devices of all files");
    expect([shell.stderr, shell.stdout.toString()]).toEqual(["", "made by 1\n"]);
    expect(await machine.ok("--root", root, "diff", "work")).toEqual([
      { kind: "A", path: "hello", type: "file", size: 6 },
    ]);
    renameSync(root, machine.root);
    await expectTidy(machine);
  });

  it("are told apart from what they stand on, and become images", async () => {
    const { machine, place } = await withImage(driver);
    await written(machine, "work", place);
    expect((await machine.varve("diff", "work")).stdout).toBe(
      [
        "D late",
        "A d",
        "A d/e",
        "A d/e/too",
        "A d/link",
        "C etc/new",
        "C etc/passwd",
        "A later",
        "C srv",
        "D srv/app",
        "D srv/link",
        "A srv/alone",
        "",
      ].join("\n"),
    );
    await machine.ok("mount", "work", place);
    const tree = await readTree(place);
    await machine.ok("umount", place);

    const result = (await machine.ok("commit", "work", "made:1", "-m", "edited")) as CommitResult;
    expect(result).toMatchObject({ snapshot: "work", image: "docker.io/library/made:1", base: name });
    expect((await machine.images()).map((row) => row.layers).toSorted((a, b) => a - b)).toEqual([3, 4]);
    await machine.ok("unpack", "made:1", join(machine.path, "tree"));
    // Of the root a layer holds no times unless something else of it was changed.
    expect(diffTrees(tree, await readTree(join(machine.path, "tree")), { root: false })).toEqual([]);
    await machine.ok("mount", "made:1", place);
    expect(diffTrees(tree, await readTree(place), { root: false })).toEqual([]);
    expect((await machine.varve("diff", "made:1")).stdout).toBe((await machine.varve("diff", "work")).stdout);
    await machine.ok("umount", place);
    await expectTidy(machine);
  });
});

describe.skipIf(!CAN_MOUNT || DRIVERS.length < 2)("snapshots (needs root and mounts)", () => {
  it("that were changed the same way give the same image and the same layer on every driver", async () => {
    const { machine, place } = await withImage(...DRIVERS);
    const env = { SOURCE_DATE_EPOCH: EPOCH };
    const images = new Set<string>();
    const layers = new Set<string>();
    for (const driver of DRIVERS) {
      await written(machine, driver, place, "--snapshotter", driver);
      for (const name of ["made:1", "made:2"]) {
        const { digest, layers: made } = (await execOk(machine, ["commit", driver, name], env)) as CommitResult;
        images.add(digest);
        for (const { diffId } of made) layers.add(diffId);
      }
      const file = join(machine.path, `${driver}.tar`);
      await execOk(machine, ["diff", driver, "-o", file], env);
      layers.add(digestOf(readFileSync(file)));
    }
    expect([images.size, layers.size]).toEqual([1, 1]);
    expect(await machine.ok("inspect", "made:1")).toMatchObject({
      created: new Date(Number(EPOCH) * 1000).toISOString().replace(".000", ""),
    });
    await expectTidy(machine);
  });

  it("are refused with the reason", async () => {
    const { machine } = await withImage(DRIVERS[0]!);
    await machine.ok("snapshots", "prepare", "work", name);
    await machine.ok("snapshots", "view", "look", name);
    const before = await snapshotsOf(machine);
    const cases: readonly (readonly [args: string, code: string, exit: number])[] = [
      ["prepare", "USAGE", 2],
      ["prepare a b c", "USAGE", 2],
      ["mounts", "USAGE", 2],
      ["rm", "USAGE", 2],
      ["ls all", "USAGE", 2],
      ["commit one", "USAGE", 2],
      ["explode", "USAGE", 2],
      ["prepare new no/such:image", "IMAGE_NOT_FOUND", 3],
      [`prepare work ${name}`, "SNAPSHOT_EXISTS", 1],
      [`view look ${name}`, "SNAPSHOT_EXISTS", 1],
      ["prepare new look", "SNAPSHOT_STATE", 1],
      ["prepare new work", "SNAPSHOT_STATE", 1],
      [`commit ${topOf(image)} work`, "SNAPSHOT_EXISTS", 1],
      ["commit done look", "SNAPSHOT_STATE", 1],
      ["commit done nothing", "SNAPSHOT_NOT_FOUND", 3],
      [`mounts ${topOf(image)}`, "SNAPSHOT_STATE", 1],
      ["mounts nothing", "SNAPSHOT_NOT_FOUND", 3],
      ["usage nothing", "SNAPSHOT_NOT_FOUND", 3],
      ["rm nothing", "SNAPSHOT_NOT_FOUND", 3],
      [`rm ${topOf(image)}`, "SNAPSHOT_STATE", 1],
      ["--snapshotter none prepare new", "DRIVER_UNAVAILABLE", 1],
    ];
    for (const [args, code, exit] of cases) {
      const failure = await machine.fails("snapshots", ...args.split(" "));
      expect([args, failure]).toEqual([args, expect.objectContaining({ code, exit })]);
    }
    const commits: readonly (readonly [args: string, code: string])[] = [
      ["commit nothing app:2", "SNAPSHOT_NOT_FOUND"],
      ["commit look app:2", "SNAPSHOT_STATE"],
      [`commit work app@${image.digest}`, "REFERENCE_INVALID"],
      ["diff nothing", "SNAPSHOT_NOT_FOUND"],
    ];
    for (const [args, code] of commits) {
      expect([args, await machine.fails(...args.split(" "))]).toEqual([args, expect.objectContaining({ code })]);
    }
    const empty = await machine.fails("snapshots", "prepare", "");
    expect(empty).toMatchObject({ code: "SNAPSHOT_INVALID", exit: 2 });
    expect(await snapshotsOf(machine)).toEqual(before);
    await expectTidy(machine);
  });

  it("have drivers, and each of them says what stands in its way", async () => {
    const machine = await mountMachine();
    const all = (await execOk(machine, ["snapshots", "ls", "--drivers"])) as DriverReport[];
    expect(all.map(({ name }) => name)).toEqual(["erofs", "overlay", "copy"]);
    expect(all.flatMap((driver) => (driver.usable ? [driver.name] : []))).toEqual(DRIVERS);
    expect(all.filter((driver) => driver.default).map(({ name }) => name)).toEqual(DRIVERS.slice(0, 1));
    const env = { VARVE_NO_FFI: "1" };
    const none = (await execOk(machine, ["snapshots", "ls", "--drivers"], env)) as DriverReport[];
    expect(none).toMatchObject([
      { name: "erofs", usable: false, reasons: [expect.stringContaining("foreign calls")] },
      { name: "overlay", usable: false, reasons: [expect.stringContaining("foreign calls")] },
      { name: "copy", usable: true, default: false },
    ]);
    const { stdout } = await machine.exec(["snapshots", "ls", "--drivers"], env);
    expect(stdout).toMatch(/^erofs +no +foreign calls/m);
    expect(readdirSync(join(machine.root, "snapshots"))).toEqual([]);
    await expectTidy(machine);
  });
});
