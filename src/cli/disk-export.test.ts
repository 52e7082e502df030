/** `varve disk export`: what it passes on, prints and refuses. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { ExportResult } from "../transfer/disks/export.ts";
import { runWith } from "./services.suite.ts";

const exported: ExportResult = {
  image: "example.com/vm:1",
  digest: digestOf("manifest"),
  format: "tart",
  target: "/vms/one",
  files: [
    { name: "disk.img", size: 20_000_000_000 },
    { name: "config.json", size: 300 },
  ],
  disks: [],
  logicalBytes: 20_000_000_000,
  allocatedBytes: 1_700_000_000,
  reflinkedBytes: 1_700_000_000,
  verified: true,
  warnings: ["it has \u001b[31mno holes"],
  durationMs: 12,
};

describe("varve disk export", () => {
  it("exports a machine to a directory", async () => {
    const calls: unknown[] = [];
    const { host, code } = await runWith(["disk", "export", "vm:1", "/vms/one", "--force", "--verify"], {
      exportMachine: (...args) => Promise.resolve((calls.push(args), exported)),
    });
    expect(code).toBe(0);
    expect(calls).toEqual([["vm:1", "/vms/one", { verify: true, reflink: true, force: true }]]);
    expect(host.out).toBe(
      "example.com/vm:1: exported to /vms/one, compared\n" +
        "  files     disk.img 20.0 GB, config.json 300 B\n" +
        "  disks     20.0 GB, takes 1.70 GB, 1.70 GB shared with the store in 0.0 s\n",
    );
    expect(host.err).not.toContain("\u001b");
  });

  it("exports a disk alone", async () => {
    const calls: unknown[] = [];
    const args = ["disk", "export", "--raw", "vm:1", "/vm.img", "--disk", "root.img", "--no-reflink", "--json"];
    const { host } = await runWith(args, {
      exportDisk: (...given) => Promise.resolve((calls.push(given), exported)),
    });
    expect(calls).toEqual([["vm:1", "/vm.img", { verify: false, reflink: false, disk: "root.img" }]]);
    expect(JSON.parse(host.out)).toEqual(exported);
  });

  it.each([
    [["--raw", "--force", "vm:1", "x"], "--raw replaces a file in any case"],
    [["--disk", "a", "vm:1", "x"], "--disk goes with --raw"],
    [["--in-place", "vm:1", "x"], "varve disk export takes no --in-place"],
    [["--sparse", "never", "vm:1", "x"], "varve disk export takes no --sparse"],
    [["vm:1"], "write it as: varve disk export IMAGE DIR"],
  ])("refuses %j", async (args, message) => {
    const { host, code } = await runWith(["disk", "export", ...args]);
    expect(code).toBe(2);
    expect(host.err).toContain(message);
  });

  it("shares the flags that mean the same", async () => {
    const { host } = await runWith(["disk", "--help"]);
    expect(host.out.replaceAll(/\s+/g, " ")).toContain("with export, clone, copy: read back what was written");
    const { code } = await runWith(["disk", "copy", "--raw", "a", "b"]);
    expect(code).toBe(2);
  });
});
