/** A user without rights pulls and unpacks an image that asks for owners, devices and attributes: what cannot be is counted. */
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { buildImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { findPeer } from "../kit/peers.ts";
import { runOk } from "../kit/peers/run.ts";
import { VARVE_BIN, varveEnvironment } from "../kit/peers/varve.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { tempDir } from "../kit/temp-dir.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import { device, directory, fifo, file, hardlink, symlink } from "../kit/trees/tree-node.ts";
import { storeFaults } from "./store-health.ts";
import type { UnpackResult } from "../../src/transfer/unpack.ts";

const NOBODY = 65_534;
const setpriv = findPeer("setpriv");

const LAYERS = [
  [
    directory("etc"),
    file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:7:8::/srv:/bin/sh\n"),
    file("etc/shadow", "secret", { mode: 0o000 }),
    directory("srv", { uid: 7, gid: 8 }),
    file("srv/page", "hello", { uid: 7, gid: 8 }),
    hardlink("srv/page2", "srv/page"),
    directory("locked", { mode: 0o555 }),
    file("locked/inside", "written before the lock", { mode: 0o444 }),
    symlink("locked/link", "../etc"),
  ],
  [
    directory("dev"),
    device("dev/null", "char", 1, 3, { mode: 0o666 }),
    device("dev/disk", "block", 8, 0),
    fifo("dev/pipe"),
    file("locked/late", "a later layer writes into what is locked"),
    file("usr", "x", {
      mode: 0o4755,
      xattrs: { "security.capability": Buffer.from("0100000200040000000000000000000000000000", "hex") },
    }),
  ],
];

describe.skipIf(process.getuid?.() !== 0 || setpriv === undefined)("without root", () => {
  it("everything is unpacked that a user may make, and the rest is counted", async () => {
    await using dir = await tempDir("varve-rootless-");
    await using registry = await startRegistry();
    await pushImage(registry.host, "app", "1", await buildImage({ layers: LAYERS, config: { User: "web" } }));
    await chmod(dir.path, 0o755);
    const home = join(dir.path, "home");
    await mkdir(home);
    await chown(home, NOBODY, NOBODY);
    const varve = async (...args: string[]): Promise<unknown> => {
      const flags = ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];
      const env = { ...varveEnvironment({ root: join(home, "store") }), HOME: home, XDG_RUNTIME_DIR: undefined };
      const program = [process.execPath, VARVE_BIN, "--json", "--progress", "none", ...args];
      const { stdout } = await runOk(setpriv ?? "", [...flags, ...program], { env, cwd: home });
      return JSON.parse(stdout.toString());
    };
    const image = `${registry.host}/app:1`;
    expect(await varve("pull", image)).toMatchObject({ status: "pulled" });
    const bundle = join(home, "bundle");
    const result = (await varve("unpack", "--bundle", image, bundle)) as UnpackResult;
    expect(result.skipped).toEqual({ owners: expect.any(Number), devices: 2, xattrs: 1 });
    expect(result.skipped.owners).toBeGreaterThanOrEqual(2);
    const made = (await readTree(join(bundle, "rootfs"))).filter(({ path }) => path !== "");
    const wanted = expectedTree(LAYERS).filter(({ type }) => type !== "char" && type !== "block");
    // Devices need not leave a name behind; if something stands in for them it is no device.
    const comparable = made.filter(({ path }) => !["dev/null", "dev/disk"].includes(path));
    const ignore = ["uid", "gid", "xattrs"] as const;
    const differences = diffTrees(wanted, comparable, { ignore, directoryTimes: false });
    expect(differences.filter((line) => !line.includes('"usr": mode'))).toEqual([]);
    expect(new Set(made.map(({ uid }) => uid))).toEqual(new Set([NOBODY]));
    expect(await storeFaults(join(home, "store"))).toEqual([]);
  });
});
