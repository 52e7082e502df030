/** What `varve disk import` takes, and what it prints. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { ImportResult } from "../transfer/disks/import-disk.ts";
import { runWith } from "./services.suite.ts";
import type { Services } from "./services.ts";

const MB = 1_000_000;

const result: ImportResult = {
  source: "/vms/runner",
  image: "registry.example/vms/runner:1",
  digest: digestOf("manifest"),
  imageId: digestOf("config"),
  format: "raw",
  os: "linux",
  architecture: "arm64",
  disk: { key: digestOf("key"), path: "/store/disks/x", size: 20_000 * MB, allocatedBytes: 1700 * MB },
  chunks: { size: 512 << 20, count: 38, distinct: 6, holes: 33, reused: 2, blobBytes: 800 * MB, how: "kept" },
  chunkIndex: digestOf("index"),
  durationMs: 4200,
  peakRssBytes: 100 * MB,
  warnings: ["the image gets an empty NVRAM"],
};

function recording(): { readonly asked: unknown[]; readonly importDisk: Services["importDisk"] } {
  const asked: unknown[] = [];
  const importDisk = (...args: readonly unknown[]): Promise<ImportResult> => {
    asked.push(args);
    return Promise.resolve(result);
  };
  return { asked, importDisk };
}

describe("varve disk import", () => {
  it("hands on what it was told", async () => {
    const { asked, importDisk } = recording();
    const env = { SOURCE_DATE_EPOCH: "1787000000" };
    await runWith(["disk", "import", "runner", "runner:1"], { importDisk });
    await runWith(
      [
        "disk",
        "import",
        "--format",
        "raw",
        "--disk-chunk-size",
        "64MiB",
        "--label",
        "a=b=c",
        "--label",
        "d=",
        "--discard-blobs",
      ].concat([
        "--no-chunk-index",
        "--os",
        "linux",
        "--arch",
        "amd64",
        "--base",
        "old:1",
        "--cpus",
        "2",
        "--memory",
        "2GiB",
        "x.img",
        "x:1",
      ]),
      { importDisk },
      { env },
    );
    expect(asked).toEqual([
      ["runner", "runner:1", { discardBlobs: false, chunkIndex: true }],
      [
        "x.img",
        "x:1",
        {
          base: "old:1",
          format: "raw",
          chunkSize: 64 << 20,
          labels: { a: "b=c", d: "" },
          discardBlobs: true,
          chunkIndex: false,
          os: "linux",
          architecture: "amd64",
          cpuCount: 2,
          memorySize: 2 ** 31,
          sourceDateEpoch: 1_787_000_000,
        },
      ],
    ]);
  });

  it("tells what the disk has become, or with -q the image's digest", async () => {
    const { importDisk } = recording();
    const { host, code } = await runWith(["disk", "import", "runner", "runner:1"], { importDisk });
    expect(code).toBe(0);
    expect(host.out).toBe(
      [
        "/vms/runner: imported as registry.example/vms/runner:1 in 4.2 s",
        `  digest    ${result.digest}`,
        "  machine   linux/arm64, from raw",
        "  disk      20.0 GB long, takes 1.70 GB",
        "  chunks    38 chunks, 6 different, 33 of holes, 2 of the base, 800 MB of blobs kept",
        "",
      ].join("\n"),
    );
    expect(host.err).toContain("the image gets an empty NVRAM");
    expect((await runWith(["disk", "import", "-q", "runner", "runner:1"], { importDisk })).host.out).toBe(
      `${result.digest}\n`,
    );
    const json = await runWith(["disk", "import", "--json", "runner", "runner:1"], { importDisk });
    expect(JSON.parse(json.host.out)).toEqual(result);
  });

  it.each([
    [["x.img"], "write it as: varve disk import"],
    [["--format", "iso", "x", "y"], "--format takes one of auto, raw, qcow2"],
    [["--disk-chunk-size", "many", "x", "y"], "--disk-chunk-size takes bytes"],
    [["--label", "novalue", "x", "y"], "--label takes NAME=VALUE"],
    [["--label", "=x", "x", "y"], "--label takes NAME=VALUE"],
    [["--cpus", "0", "x", "y"], "--cpus takes a whole number"],
    [["--memory", "1k", "x", "y"], "--memory takes at least 1 MiB"],
    [["--os", "windows", "x", "y"], "--os takes one of linux, darwin"],
    [["--arch", "riscv64", "x", "y"], "--arch takes one of arm64, amd64"],
    [["", "y"], "DIR|FILE takes a path"],
    [["--verify", "x", "y"], "varve disk import takes no --verify"],
  ])("%j exits with 2", async (args, message) => {
    const { host, code } = await runWith(["disk", "import", ...args]);
    expect(code).toBe(2);
    expect(host.err).toContain(message);
  });
});
