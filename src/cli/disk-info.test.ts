/** `varve disk info` and `varve disk clone`: what they pass on and print. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { CloneResult } from "../transfer/disks/clone.ts";
import type { DiskInformation } from "../transfer/disks/info.ts";
import { runWith } from "./services.suite.ts";

const machine = {
  os: "linux",
  architecture: "arm64",
  cpuCount: 4,
  memoryBytes: 4_294_967_296,
  macAddress: "02:00:00:00:00:01",
  display: "1024x768",
  diskFormat: "raw",
  problem: null,
};
const disk = {
  name: "disk.img",
  key: digestOf("disk"),
  logicalBytes: 20_000_000_000,
  chunks: 38,
  chunkBytes: { least: 10, most: 536_870_912 },
  zeroChunks: 12,
  compressedBytes: 900_000_000,
  held: "disk",
  path: "/store/disks/x",
  allocatedBytes: 1_700_000_000,
} as const;
const image: DiskInformation = {
  kind: "image",
  name: "example.com/vm:1",
  digest: digestOf("manifest"),
  format: "tart",
  ...machine,
  stacked: false,
  canonical: true,
  uploadTime: null,
  disks: [disk],
};

describe("varve disk info", () => {
  const shown = async (info: DiskInformation, ...flags: string[]): Promise<string> =>
    (await runWith(["disk", "info", "vm:1", ...flags], { diskInformation: () => Promise.resolve(info) })).host.out;

  it("tells of an image", async () => {
    expect(await shown(image)).toBe(
      "example.com/vm:1: virtual machine of tart\n" +
        "  machine   linux/arm64, 4 processors, 4.29 GB of memory, display 1024x768, address 02:00:00:00:00:01\n" +
        "  disk.img\n" +
        "    length  20.0 GB\n" +
        "    chunks  38 of up to 537 MB, 12 of zeros, 900 MB compressed\n" +
        "    here    /store/disks/x, takes 1.70 GB\n",
    );
    expect(await shown(image, "-q")).toBe("/store/disks/x\n");
    expect(JSON.parse(await shown(image, "--json"))).toEqual(image);
  });

  it("tells how to get what is not here", async () => {
    const without = { ...disk, path: null, allocatedBytes: null };
    const here = async (held: "blobs" | "part" | null): Promise<string> =>
      shown({ ...image, disks: [{ ...without, held }] });
    expect(await here("blobs")).toContain("here    its blobs, of which export and clone make it\n");
    expect(await here("part")).toContain("here    a part of it; varve pull goes on\n");
    expect(await here(null)).toContain("here    no; varve pull gets it\n");
  });

  it("tells of a file, and of a directory whose configuration is odd", async () => {
    const file = {
      path: "/vm.img",
      format: "raw",
      logicalBytes: 8_000_000,
      allocatedBytes: 2_000_000,
      dataBytes: 2_000_000,
      holeBytes: 6_000_000,
      extents: 2,
    } as const;
    expect(await shown({ kind: "file", ...file })).toBe(
      "/vm.img: disk\n" +
        "    length  8.00 MB, takes 2.00 MB\n" +
        "    holes   6.00 MB, 2 runs of data between them\n" +
        "    format  raw\n",
    );
    const nothing = {
      os: null,
      architecture: null,
      cpuCount: null,
      memoryBytes: null,
      macAddress: null,
      display: null,
    };
    const odd = { ...nothing, diskFormat: null, problem: "config.json \u001b[2J is odd" };
    const text = await shown({
      kind: "directory",
      path: "/vm",
      format: null,
      ...odd,
      disks: [{ name: "disk.img", ...file }],
    });
    expect(text).toContain("/vm: directory of a virtual machine\n  machine   not known\n  problem   config.json");
    expect(text).not.toContain("\u001b");
  });
});

describe("varve disk clone", () => {
  it("passes on what it is told, and says what was made", async () => {
    const result: CloneResult = {
      source: "example.com/vm:1",
      target: "/vms/two",
      format: "tart",
      macAddress: "02:00:00:00:00:01",
      newMac: true,
      disks: [],
      logicalBytes: 20_000_000_000,
      allocatedBytes: 1_700_000_000,
      reflinkedBytes: 0,
      verified: false,
      warnings: [],
      durationMs: 20,
    };
    const calls: unknown[] = [];
    const { host } = await runWith(["disk", "clone", "vm:1", "/vms/two", "--keep-mac", "--verify"], {
      cloneMachine: (...args) => Promise.resolve((calls.push(args), result)),
    });
    expect(calls).toEqual([["vm:1", "/vms/two", { keepMac: true, verify: true, reflink: true }]]);
    expect(host.out).toBe(
      "example.com/vm:1: cloned to /vms/two\n" +
        "  address   02:00:00:00:00:01\n" +
        "  disks     20.0 GB, takes 1.70 GB in 0.0 s\n",
    );
  });
});
