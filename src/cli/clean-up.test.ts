import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { DiskUsage } from "../transfer/disk-usage.ts";
import type { StoreReport } from "../transfer/fsck.ts";
import type { GcResult } from "../transfer/gc.ts";
import type { PruneOptions, PruneResult } from "../transfer/prune.ts";
import { parseDuration, parseSize } from "./parse-values.ts";
import { runWith } from "./services.suite.ts";

const collected: GcResult = {
  snapshots: { count: 0, bytes: 0 },
  layers: { count: 0, bytes: 0 },
  folders: { count: 0, bytes: 0 },
  blobs: { count: 2, bytes: 3_000_000 },
  disks: { count: 0, bytes: 0 },
  partials: { count: 1, bytes: 4096 },
  partialDisks: { count: 0, bytes: 0 },
  records: 1,
  leases: 0,
  locks: 2,
  temporary: 0,
  freedBytes: 3_004_096,
  broken: [],
  dryRun: false,
  durationMs: 1,
};

describe("durations and sizes", () => {
  it.each([
    ["0", 0],
    ["90s", 90_000],
    ["1.5h", 5_400_000],
    ["7d", 604_800_000],
    ["2w", 1_209_600_000],
    ["1d12h", 129_600_000],
  ])("%s is a time", (text, expected) => {
    expect(parseDuration("--older-than", text)).toBe(expected);
  });

  it.each(["", "7", "d", "7 d", "-1d", "7d ", "7y", "1dx", "x1d", "999999999w999999999w", "1e3s"])(
    "%j is none",
    (text) => {
      expect(() => parseDuration("--older-than", text)).toThrow(/--older-than takes a time/);
    },
  );

  it.each([
    ["0", 0],
    ["1024", 1024],
    ["10GB", 10_000_000_000],
    ["10gb", 10_000_000_000],
    ["20GiB", 20 * 1024 ** 3],
    ["20g", 20 * 1024 ** 3],
    ["1.5M", 1.5 * 1024 ** 2],
    ["500kB", 500_000],
    ["2TB", 2_000_000_000_000],
    ["7B", 7],
  ])("%s is a size", (text, expected) => {
    expect(parseSize("--keep-storage", text)).toBe(expected);
  });

  it.each(["", "GB", "-1", "1 GB", "1XB", "1e9", "99999999999999TB"])("%j is none", (text) => {
    expect(() => parseSize("--keep-storage", text)).toThrow(/--keep-storage takes bytes/);
  });
});

describe("varve gc", () => {
  it("tells what it removed, or would", async () => {
    const collectGarbage = (options: object | undefined) =>
      Promise.resolve({ ...collected, dryRun: (options as { dryRun: boolean }).dryRun });
    expect((await runWith(["gc"], { collectGarbage })).host.out).toBe(
      "removed 2 blobs (3.00 MB) and 1 partial blob (4.10 kB)\nremoved 1 layer record, 2 stale lock files\n3.00 MB freed\n",
    );
    expect((await runWith(["gc", "--dry-run"], { collectGarbage })).host.out).toMatch(
      /^would remove .*\n.*\n3.00 MB would be freed\n$/,
    );
    expect((await runWith(["gc", "-q"], { collectGarbage })).host.out).toBe("3004096\n");
    const disks = { disks: { count: 1, bytes: 5_000_000 }, partialDisks: { count: 2, bytes: 7000 } };
    expect(
      (await runWith(["gc"], { collectGarbage: () => Promise.resolve({ ...collected, ...disks }) })).host.out,
    ).toMatch(/1 partial blob \(4\.10 kB\), 1 disk \(5\.00 MB\) and 2 partial disks \(7\.00 kB\)\n/);
  });
});

describe("varve df", () => {
  const none = { count: 0, bytes: 0 };
  const usage: DiskUsage = {
    root: "/store",
    images: { count: 1, sharedBytes: 0, each: [{ name: "a.example/x:1", bytes: 3_000_000, ownBytes: 2_000_000 }] },
    blobs: { count: 2, bytes: 3_000_000 },
    repositories: none,
    unreferenced: none,
    ingests: none,
    disks: { ...none, logicalBytes: 0 },
    partialDisks: none,
    snapshots: none,
    layers: none,
    totalBytes: 3_000_000,
  };

  const run = (given: DiskUsage) => runWith(["df"], { diskUsage: () => Promise.resolve(given) });

  it("tells of repositories where there are any", async () => {
    expect((await run(usage)).host.out).not.toContain("repositories");
    const { out } = (await run({ ...usage, repositories: { count: 2, bytes: 1_000_000 } })).host;
    expect(out).toMatch(/\nblobs +2 +3\.00 MB\n {2}of repositories +2 +1\.00 MB\n/);
  });

  it("tells of disks where there are any", async () => {
    expect((await run(usage)).host.out).not.toContain("disk");
    const disks = { count: 1, bytes: 400_000, logicalBytes: 50_000_000_000 };
    const { out } = (await run({ ...usage, disks, partialDisks: { count: 2, bytes: 7000 } })).host;
    expect(out).toMatch(/\ndisks +1 +400 kB\npartial disks +2 +7\.00 kB\n/);
    expect(out).toContain("\ndisks hold 50.0 GB, holes included\ntotal: 3.00 MB");
  });
});

describe("varve prune", () => {
  it("passes on what was asked for, and tells what went and why the rest stays", async () => {
    const asked: (PruneOptions | undefined)[] = [];
    const result: PruneResult = {
      removed: [{ name: "a.example/x:1", digest: digestOf("x"), pulledAt: new Date(0).toISOString() }],
      kept: [{ name: "a.example/x:2", reason: "newest" }],
      collected,
      freedBytes: 3_004_096,
      totalBytes: 5_000_000,
      smallEnough: false,
      dryRun: false,
    };
    const prune = (options?: PruneOptions) => {
      asked.push(options);
      return Promise.resolve(result);
    };
    const args = [
      "--older-than",
      "1d",
      "--keep-storage",
      "1kB",
      "--filter",
      "a*",
      "--partials-older-than",
      "1h",
      "--dry-run",
    ];
    const { host } = await runWith(["prune", "-v", ...args], { prune });
    expect(asked).toEqual([
      { olderThanMs: 86_400_000, keepBytes: 1000, filter: "a*", partialsOlderThanMs: 3_600_000, dryRun: true },
    ]);
    expect(host.out).toMatch(
      /^untagged a.example\/x:1\nkept a.example\/x:2: the newest of its repository\nremoved 2 blobs/,
    );
    expect(host.out).toMatch(/5.00 MB in the store\n$/);
    expect(host.err).toContain("larger than was asked for");
    expect((await runWith(["prune", "-q"], { prune })).host.out).toBe("a.example/x:1\n");
  });
});

describe("varve fsck", () => {
  const note = { kind: "lock-stale", severity: "note", message: "left" } as const;
  const wrong = { kind: "blob-damaged", severity: "error", message: "bad\u001b[31m", digest: digestOf("x") } as const;
  const report = (more: Partial<StoreReport>): StoreReport => ({
    sound: true,
    checked: { images: 1, blobs: 2, bytes: 3, layers: 4, snapshots: 0, disks: 0 },
    findings: [],
    durationMs: 100,
    ...more,
  });
  const run = (given: StoreReport, ...args: string[]) =>
    runWith(["fsck", "--progress", "none", ...args], { checkStore: () => Promise.resolve(given) });

  it("prints the report in full and exits with 5 when something is wrong", async () => {
    const bad = report({ sound: false, findings: [wrong, note] });
    const { host, code } = await run(bad);
    expect(code).toBe(5);
    expect(host.out).toMatch(
      /^error: blob-damaged: bad\S*\nnote: lock-stale: left\nchecked 1 image, 2 blobs \(3 B\), 4 layers in 0.1 s\n1 fault found\n$/,
    );
    const json = await run(bad, "--json");
    expect(json.code).toBe(5);
    expect(JSON.parse(json.host.out)).toEqual(bad);
    expect((await run(bad, "-q")).host.out).toMatch(/^error: .*\n$/);
  });

  it("exits with 0 when all is well, or well again", async () => {
    const notes = Array.from({ length: 10 }, () => note);
    const { host, code } = await run(report({ findings: [{ ...wrong, repaired: true }, ...notes] }));
    expect(code).toBe(0);
    expect(host.out).toMatch(
      /^mended: blob-damaged: .*\n(note: lock-stale: left\n){3}note: lock-stale: 7 more\nchecked .*\nsound: 1 fault mended\n$/,
    );
    expect((await run(report({ findings: notes }), "-v")).host.out.match(/^note/gm)).toHaveLength(10);
  });
});
