/** podman through the daemon's mirror, as registries.conf has it: CRI-O reads the same file. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startMirroredRegistry, UPSTREAM, type MirroredRegistry } from "../../kit/daemon/mirrored-registry.ts";
import { findPeer } from "../../kit/peers.ts";
import { runOk } from "../../kit/peers/run.ts";

const podman = findPeer("podman");
const missing = podman === undefined || findPeer("docker-registry") === undefined || process.getuid?.() !== 0;

/** Gives what it prints. @throws Error with what it says when it fails */
type Podman = (...args: string[]) => Promise<string>;

/** With its own storage, and with the daemon as the registry's mirror. */
async function podmanWith({ daemon, dir, registry }: MirroredRegistry): Promise<Podman> {
  const conf = join(dir, "registries.conf");
  await writeFile(
    conf,
    `[[registry]]
prefix = "${UPSTREAM}"
location = "${registry.host}"
insecure = true

[[registry.mirror]]
location = "${daemon.host}/${UPSTREAM}"
insecure = true
`,
  );
  const storage = join(dir, "storage.conf");
  const [root, runroot] = [join(dir, "root"), join(dir, "run")];
  await writeFile(storage, `[storage]\ndriver = "vfs"\ngraphroot = "${root}"\nrunroot = "${runroot}"\n`);
  const env = { CONTAINERS_REGISTRIES_CONF: conf, CONTAINERS_STORAGE_CONF: storage, TMPDIR: dir };
  return async (...args) => (await runOk(podman!, args, { env, timeoutMs: 120_000 })).stdout.toString().trim();
}

describe.skipIf(missing)("podman through the mirror", () => {
  it("pulls by tag, by digest, and what it has gone without from the registry itself", async () => {
    const setting = await startMirroredRegistry();
    const { image, index, blobBytes, daemon, registry } = setting;
    const call = await podmanWith(setting);
    const pulled = await call("pull", "--quiet", `${UPSTREAM}/team/app:v1`);
    expect(pulled).toBe(image.config.digest.slice(7));
    const once = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(blobBytes()).toBe(once);
    expect(registry.log()).not.toContain("containers/");
    await call("rmi", "--all", "--force");
    const byDigest = await call("pull", "--quiet", `${UPSTREAM}/team/app@${index.digest}`);
    expect(byDigest).toBe(image.config.digest.slice(7));
    expect(blobBytes()).toBe(once);
    await call("rmi", "--all", "--force");
    await daemon.stop();
    const without = await call("pull", "--quiet", `${UPSTREAM}/team/app:v1`);
    expect(without).toBe(image.config.digest.slice(7));
    expect(registry.log()).toContain("containers/");
  });

  it("does not notice that the line to upstream breaks in the midst of blobs", async () => {
    const setting = await startMirroredRegistry();
    const { image, proxy } = setting;
    const call = await podmanWith(setting);
    proxy.setRules([
      { path: /blobs/, nth: { to: 3 }, fault: { kind: "drop", afterBytes: 1 << 20 } },
      { path: /blobs/, nth: { from: 4, to: 5 }, fault: { kind: "status", status: 503 } },
    ]);
    const pulled = await call("pull", "--quiet", `${UPSTREAM}/team/app:v1`);
    expect(pulled).toBe(image.config.digest.slice(7));
    expect(proxy.strikes.length).toBeGreaterThan(2);
  });
});
