/** Mounting without root: what is said where it cannot be done, and that a user namespace of one's own is enough. */
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushImage } from "../kit/images/push-image.ts";
import { findPeer } from "../kit/peers.ts";
import { run, type RunResult } from "../kit/peers/run.ts";
import { VARVE_BIN, varveEnvironment } from "../kit/peers/varve.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { tempDir } from "../kit/temp-dir.ts";
import { sampleImage } from "./samples.ts";

const NOBODY = 65_534;
const setpriv = findPeer("setpriv");
const unshare = findPeer("unshare");
const NAMESPACE = [unshare ?? "unshare", "--user", "--map-root-user", "--mount"];

describe.skipIf(process.getuid?.() !== 0 || setpriv === undefined)(
  "mounting as nobody (needs root to become one)",
  () => {
    const things = new AsyncDisposableStack();
    let home: string;
    let name: string;
    let place: string;

    beforeAll(async () => {
      const dir = things.use(await tempDir("varve-rootless-"));
      const registry = things.use(await startRegistry());
      await pushImage(registry.host, "app", "1", await sampleImage());
      name = `${registry.host}/app:1`;
      await chmod(dir.path, 0o755);
      home = join(dir.path, "home");
      place = join(home, "mnt");
      for (const path of [home, place]) {
        await mkdir(path);
        await chown(path, NOBODY, NOBODY);
      }
    });

    afterAll(() => things.disposeAsync());

    function asNobody(store: string, ...program: string[]): Promise<RunResult> {
      const flags = ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];
      const own = { HOME: home, XDG_RUNTIME_DIR: undefined, LC_ALL: "C" };
      const env = { ...varveEnvironment({ root: join(home, store) }), ...own };
      return run(setpriv ?? "setpriv", [...flags, ...program], { env, cwd: home });
    }

    function varve(store: string, ...args: string[]): Promise<RunResult> {
      return asNobody(store, process.execPath, VARVE_BIN, "--json", "--progress", "none", ...args);
    }

    it("is refused with the reason, whatever driver is asked for", async () => {
      expect((await varve("plain", "pull", name)).code).toBe(0);
      for (const flags of [[], ["--rw"], ["--snapshotter", "erofs"], ["--snapshotter", "overlay"]]) {
        const { code, stdout } = await varve("plain", "mount", ...flags, name, place);
        const { error } = JSON.parse(stdout.toString()) as { error: { code: string; message: string } };
        expect([code, error]).toEqual([
          1,
          { ...error, code: "DRIVER_UNAVAILABLE", message: expect.stringMatching(/EPERM/) },
        ]);
      }
      const { stdout } = await varve("plain", "snapshots", "ls", "--drivers");
      expect(JSON.parse(stdout.toString())).toEqual([
        expect.objectContaining({
          name: "erofs",
          usable: false,
          default: false,
          reasons: [expect.stringMatching(/EPERM/)],
        }),
        expect.objectContaining({ name: "overlay", usable: false, default: false }),
        expect.objectContaining({ name: "copy", usable: true }),
      ]);
      expect(JSON.parse((await varve("plain", "snapshots", "ls")).stdout.toString())).toEqual([]);
    });

    it("works with overlay in a user namespace", async (context) => {
      const canNamespace = (await asNobody("spaces", ...NAMESPACE, "mount", "-t", "tmpfs", "none", place)).code === 0;
      context.skip(!canNamespace, "no user namespaces here");
      const script = `
      set -e
      v="$1 $2 --progress none"
      $v -q pull "$3" >&2
      $v --json mount --rw --key work "$3" "$4"
      cat "$4/etc/new" "$4/srv/link" >&2
      test ! -e "$4/etc/gone"
      echo changed > "$4/etc/new"; rm "$4/late"; echo made > "$4/made"
      $v -q umount "$4" >&2
      $v diff work
      $v -q commit work app:2 >&2
      $v -q mount app:2 "$4" >&2
      cat "$4/etc/new" "$4/made"
      test ! -e "$4/late"
      if touch "$4/other" 2>&1; then exit 9; fi
      $v -q umount "$4" >&2
      ls -A "$4"`;
      const args = ["sh", "-c", script, "sh", process.execPath, VARVE_BIN, name, place];
      const { code, stdout, stderr } = await asNobody("spaces", ...NAMESPACE, ...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr });
      const text = stdout.toString();
      expect(text).toContain('"driver": "overlay"');
      expect(text).toContain("D late\nC etc/new\nA made\n");
      expect(text).toMatch(/changed\nmade\n.*Read-only file system\n$/);
      expect(stderr).toContain("made by 1\n");
    });
  },
);
