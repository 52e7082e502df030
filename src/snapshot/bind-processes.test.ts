/** Processes of their own: in a user namespace, and ones that die in the middle. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir, mountsBelow } from "../../test/kit/mounts/mount-dir.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { run, type RunResult } from "../../test/kit/peers/run.ts";
import type { BindJob } from "../../test/kit/snapshot/bind-child.ts";
import { openStore } from "../store/store.ts";
import { openDriver } from "./drivers.ts";
import { mountAll, unmount } from "./mount-all.ts";
import { Snapshots } from "./service.ts";
import { sweepSnapshots } from "./sweep.ts";
import type { DriverName } from "./types.ts";

const CHILD = fileURLToPath(new URL("../../test/kit/snapshot/bind-child.ts", import.meta.url));
const unshare = findPeer("unshare");
const NAMESPACE = [unshare ?? "unshare", "--user", "--map-root-user", "--mount"];
/** As shells tell SIGKILL. */
const KILLED = 128 + 9;

function child(job: BindJob, through: readonly string[] = []): Promise<RunResult> {
  return run("env", [...through, process.execPath, CHILD, JSON.stringify(job)]);
}

async function openSnapshots(
  path: string,
  name: DriverName,
): Promise<AsyncDisposable & { snapshots: Snapshots; sweep: () => Promise<unknown> }> {
  const store = await openStore(join(path, "store"), { sync: false });
  const driver = await openDriver(name, store);
  return {
    snapshots: new Snapshots({ store, driver, sync: false }),
    sweep: () => sweepSnapshots({ store, drivers: [driver] }),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

describe.skipIf(unshare === undefined)("in a user namespace", () => {
  it("overlays come to the same as one after the other, with marks that need no privileges", async (context) => {
    await using dir = await mountDir();
    context.skip((await run("env", [...NAMESPACE, "true"])).code !== 0, "no user namespaces here");
    const { stdout, stderr, code } = await child({ path: dir.path, driver: "overlay", act: "compare" }, NAMESPACE);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(JSON.parse(stdout.toString())).toEqual([]);
    expect(readFileSync(join(dir.path, "store/snapshots/overlay.json"), "utf8")).toContain('"userXattr":true');
    // Root of the machine sees the same.
    await using opened = await openSnapshots(dir.path, "overlay");
    const mounts = await opened.snapshots.mounts("view 1");
    expect(mounts[0]?.options).toContain("userxattr");
    if (!canMount()) return;
    await mountAll(mounts, join(dir.path, "root 1"));
    expect(readdirSync(join(dir.path, "root 1/d/e"))).toEqual(["c"]);
  });

  it("overlays that root has unpacked are not mistaken for others", async (context) => {
    await using dir = await mountDir();
    context.skip((await run("env", [...NAMESPACE, "true"])).code !== 0, "no user namespaces here");
    context.skip(!canMount(), "only root of the machine has these marks");
    await (await openSnapshots(dir.path, "overlay"))[Symbol.asyncDispose]();
    const { stderr, code } = await child({ path: dir.path, driver: "overlay", act: "compare" }, NAMESPACE);
    expect(code).not.toBe(0);
    expect(stderr).toContain("DRIVER_UNAVAILABLE");
  });
});

describe.skipIf(!canMount())("a process that dies", () => {
  it("while it applies a layer onto its parents leaves nothing committed and nothing mounted", async () => {
    await using dir = await mountDir();
    const { code } = await child({ path: dir.path, driver: "overlay", act: "replay" });
    expect(code).toBe(KILLED);
    expect(mountsBelow(dir.path)).toEqual([]);
    await using opened = await openSnapshots(dir.path, "overlay");
    expect(await opened.snapshots.has("never")).toBe(false);
    await opened.sweep();
    const kinds = (await Array.fromAsync(opened.snapshots.walk())).map(({ kind }) => kind);
    expect(kinds).not.toContain("active");
  });

  it.each<DriverName>(["erofs", "overlay"])(
    "before what it bound is recorded leaves what was written, to be bound again: %s",
    async (driver) => {
      await using dir = await mountDir();
      const { code } = await child({ path: dir.path, driver, act: "write" });
      expect(code).toBe(KILLED);
      await using opened = await openSnapshots(dir.path, driver);
      const { snapshots } = opened;
      expect(await snapshots.has("written")).toBe(false);
      const root = join(dir.path, "root");
      for (const name of ["active", "view"]) {
        if (name === "view") {
          await snapshots.commit("written", "active");
          await snapshots.view("view", "written");
        }
        await mountAll(await snapshots.mounts(name), root);
        expect(readFileSync(join(root, "file"), "utf8")).toBe("written");
        await unmount(root);
      }
    },
  );
});
