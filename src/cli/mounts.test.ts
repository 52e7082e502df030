import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { VarveError } from "../errors/varve-error.ts";
import type { DriverReport } from "../snapshot/probe.ts";
import type { Mount } from "../snapshot/types.ts";
import type { SnapshotRow } from "../transfer/manage-snapshots.ts";
import type { MountResult, UnmountResult } from "../transfer/mount-image.ts";
import { runWith } from "./services.suite.ts";
import type { Services } from "./services.ts";

const CHAIN = `sha256:${"0123456789abcdef".repeat(4)}`;

describe("varve mount", () => {
  const mounted = (source: string, directory: string, readOnly: boolean): MountResult => {
    return { source, directory, snapshot: "mount-1", driver: "erofs", readOnly };
  };
  const asked: unknown[] = [];
  const mountImage: Services["mountImage"] = (...args) => {
    asked.splice(0, asked.length, ...args);
    return Promise.resolve(mounted(args[0], args[1], args[2]?.rw !== true));
  };

  it("passes on what it was told, and says what came of it", async () => {
    const { host, code } = await runWith(["mount", "debian:12", "/mnt/a b"], { mountImage });
    expect(asked).toEqual(["debian:12", "/mnt/a b", { rw: false }]);
    expect(host.out).toBe("mounted debian:12 at /mnt/a b to be read (erofs, snapshot mount-1)\n");
    expect(code).toBe(0);
    const flags = ["--rw", "--key", "work", "--platform", "linux/arm64"];
    const { host: other } = await runWith(["mount", ...flags, "debian:12", "mnt\u001b"], { mountImage });
    const platform = { os: "linux", architecture: "arm64" };
    expect(asked).toEqual([
      "debian:12",
      resolve("mnt\u001b"),
      { rw: true, key: "work", platform: expect.objectContaining(platform) },
    ]);
    expect(other.out).toBe(`mounted debian:12 at ${resolve("mnt")}\\u001b to be written (erofs, snapshot mount-1)\n`);
  });

  it("prints the key for scripts, or all of it", async () => {
    const args = ["mount", "debian:12", "/mnt"];
    expect((await runWith(["-q", ...args], { mountImage })).host.out).toBe("mount-1\n");
    const { host } = await runWith(["--json", ...args], { mountImage });
    expect(JSON.parse(host.out)).toEqual(mounted("debian:12", "/mnt", true));
  });

  it.each([
    [["mount"]],
    [["mount", "a"]],
    [["mount", "a", ""]],
    [["mount", "a", "b", "c"]],
    [["mount", "a", "b", "--key"]],
  ])("refuses %j", async (args) => {
    expect((await runWith(args)).code).toBe(2);
  });

  it("fails with the code's exit status", async () => {
    const failing = (fault: VarveError) => ({ mountImage: () => Promise.reject(fault) });
    const args = ["--json", "mount", "a", "/b"];
    const { host, code } = await runWith(args, failing(new VarveError("DRIVER_UNAVAILABLE", "because")));
    expect(code).toBe(1);
    expect(JSON.parse(host.out)).toMatchObject({ error: { code: "DRIVER_UNAVAILABLE", message: "because" } });
    expect((await runWith(args, failing(new VarveError("IMAGE_NOT_FOUND", "no")))).code).toBe(3);
  });
});

describe("varve umount", () => {
  const unmounting = (kept: boolean) => ({
    unmountImage: (directory: string): Promise<UnmountResult> =>
      Promise.resolve({ directory, snapshot: "work", driver: "overlay", kept }),
  });

  it("says what is kept, and how to go on", async () => {
    const { host } = await runWith(["umount", "mnt"], unmounting(true));
    const [first, second] = host.out.split("\n");
    expect(first).toBe(`unmounted ${resolve("mnt")}`);
    expect(second).toMatch(/^the snapshot work is kept; varve commit work REF .* varve snapshots rm work /);
    expect((await runWith(["umount", "/mnt"], unmounting(false))).host.out).toBe("unmounted /mnt\n");
  });

  it("prints for scripts the key of what is kept", async () => {
    expect((await runWith(["-q", "umount", "/mnt"], unmounting(true))).host.out).toBe("work\n");
    expect((await runWith(["-q", "umount", "/mnt"], unmounting(false))).host.out).toBe("");
    const { host } = await runWith(["--json", "umount", "/mnt"], unmounting(false));
    expect(JSON.parse(host.out)).toEqual({ directory: "/mnt", snapshot: "work", driver: "overlay", kept: false });
  });

  it.each([[["umount"]], [["umount", ""]], [["umount", "a", "b"]]])("refuses %j", async (args) => {
    expect((await runWith(args)).code).toBe(2);
  });
});

describe("varve snapshots", () => {
  const row = (key: string, more: Partial<SnapshotRow> = {}): SnapshotRow => ({
    key,
    kind: "active",
    driver: "erofs",
    parent: null,
    bytes: null,
    inodes: null,
    labels: {},
    createdAt: new Date().toISOString(),
    updatedAt: new Date().toISOString(),
    ...more,
  });
  const rows = [row(CHAIN, { kind: "committed", bytes: 2_500_000, inodes: 3 }), row("od\u001bd", { parent: CHAIN })];
  const listSnapshots = () => Promise.resolve(rows);

  it("lists, shortened for people, in full for scripts", async () => {
    expect((await runWith(["snapshots", "ls"], { listSnapshots })).host.out).toBe(
      "KEY                               KIND       DRIVER  PARENT                               SIZE  UPDATED\n" +
        "sha256:0123456789abcdef01234567…  committed  erofs   -                                 2.50 MB  just now\n" +
        "od\\u001bd                         active     erofs   sha256:0123456789abcdef01234567…        -  just now\n",
    );
    expect((await runWith(["-q", "snapshots", "ls"], { listSnapshots })).host.out).toBe(`${CHAIN}\nod\\u001bd\n`);
    const { host } = await runWith(["--json", "snapshots", "ls"], { listSnapshots });
    expect(JSON.parse(host.out)).toEqual(rows);
    const none = { listSnapshots: () => Promise.resolve([]) };
    expect((await runWith(["snapshots", "ls"], none)).host.out).toBe("KEY  KIND  DRIVER  PARENT  SIZE  UPDATED\n");
    expect((await runWith(["--json", "snapshots", "ls"], none)).host.out).toBe("[]\n");
  });

  it("tells of drivers why they do not work", async () => {
    const reports: readonly DriverReport[] = [
      { name: "erofs", usable: false, parallel: true, reasons: ["EPERM", "no root"], default: false },
      { name: "overlay", usable: true, parallel: true, reasons: [], default: true },
    ];
    const listDrivers = () => Promise.resolve([...reports]);
    expect((await runWith(["snapshots", "ls", "--drivers"], { listDrivers })).host.out).toBe(
      "DRIVER   USABLE  DEFAULT  REASONS\nerofs    no               EPERM; no root\noverlay  yes     yes\n",
    );
  });

  const MOUNTS: readonly Mount[] = [
    { type: "erofs", source: "/s/index", options: ["ro", "device=/s/layer.tar"], target: "/s/lower" },
    { type: "overlay", source: "overlay", options: ["lowerdir=/s/lo wer", "upperdir=/it's"] },
  ];
  const PRINTED =
    "mount -t erofs -o ro,device=/s/layer.tar /s/index /s/lower\n" +
    "mount -t overlay -o 'lowerdir=/s/lo wer,upperdir=/it'\\''s' overlay DIR\n";

  it("prepares, and prints mounts as a shell takes them", async () => {
    const asked: unknown[] = [];
    const prepareSnapshot: Services["prepareSnapshot"] = (...args) => {
      asked.push(args);
      return Promise.resolve({ key: args[0], kind: "active", driver: "erofs", parent: null, mounts: MOUNTS });
    };
    const services = { prepareSnapshot, snapshotMounts: () => Promise.resolve(MOUNTS) };
    expect((await runWith(["snapshots", "prepare", "k", "debian:12"], services)).host.out).toBe(PRINTED);
    expect((await runWith(["-q", "snapshots", "view", "v"], services)).host.out).toBe("v\n");
    expect(asked).toEqual([
      ["k", "debian:12", { view: false }],
      ["v", undefined, { view: true }],
    ]);
    expect((await runWith(["snapshots", "mounts", "k"], services)).host.out).toBe(PRINTED);
    const { host } = await runWith(["--json", "snapshots", "mounts", "k"], services);
    expect(JSON.parse(host.out)).toEqual(MOUNTS);
  });

  it("commits, measures and removes", async () => {
    const asked: unknown[] = [];
    const services: Partial<Services> = {
      commitSnapshot: (...args) => {
        asked.push(args);
        return Promise.resolve(row(args[0], { kind: "committed", bytes: 4096, inodes: 1 }));
      },
      snapshotUsage: (key) => Promise.resolve({ key, bytes: 4096, inodes: 1 }),
      removeSnapshots: (keys) => Promise.resolve(keys),
    };
    const out = async (...args: string[]): Promise<string> => (await runWith(args, services)).host.out;
    expect(await out("-q", "snapshots", "commit", "done", "k")).toBe("done\n");
    expect(await out("snapshots", "commit", "--parent", "base", "done", "k")).toContain("done  committed  erofs");
    expect(asked).toEqual([
      ["done", "k", {}],
      ["done", "k", { parent: "base" }],
    ]);
    expect(await out("snapshots", "usage", "k")).toBe("k: 4.10 kB in 1 inode\n");
    expect(await out("snapshots", "rm", "a", "b")).toBe("removed 2 snapshots\n");
    expect(await out("-q", "snapshots", "rm", "a")).toBe("");
    expect(JSON.parse(await out("--json", "snapshots", "rm", "a", "b"))).toEqual(["a", "b"]);
  });

  it.each([
    [["snapshots"]],
    [["snapshots", "explode"]],
    [["snapshots", "ls", "all"]],
    [["snapshots", "prepare"]],
    [["snapshots", "prepare", "a", "b", "c"]],
    [["snapshots", "commit", "a"]],
    [["snapshots", "mounts"]],
    [["snapshots", "usage", "a", "b"]],
    [["snapshots", "rm"]],
  ])("refuses %j", async (args) => {
    const { code, host } = await runWith(args);
    expect(code).toBe(2);
    expect(host.err).toMatch(/^varve: USAGE: .*\nhint: .*varve snapshots --help/);
  });
});
