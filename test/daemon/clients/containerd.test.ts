/** containerd through the daemon's mirror, as hosts.toml has it; nerdctl, k3s, and Docker with containerd's store read the same file. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  startMirroredRegistry,
  UPSTREAM,
  writeHosts,
  type MirroredRegistry,
} from "../../kit/daemon/mirrored-registry.ts";
import { findPeer } from "../../kit/peers.ts";
import { startContainerd, type Containerd } from "../../kit/peers/containerd.ts";

const missing = ["containerd", "ctr", "docker-registry"].some((name) => findPeer(name as "ctr") === undefined);
const NAME = `${UPSTREAM}/team/app`;

/** The daemon first, the registry itself where that fails. */
async function hostsFor({ daemon, dir, registry }: MirroredRegistry): Promise<string> {
  const hosts = join(dir, "hosts");
  await writeHosts(
    hosts,
    `server = "${registry.url}"

[host."${daemon.origin}"]
  capabilities = ["pull", "resolve"]
`,
  );
  return hosts;
}

async function expectImage({ ctr }: Containerd, { index, image }: MirroredRegistry): Promise<void> {
  for (const { digest, bytes } of [index, image, ...image.blobs]) {
    const got = await ctr("content", "get", digest);
    expect([digest, got.equals(bytes)]).toEqual([digest, true]);
  }
}

describe.skipIf(missing || process.getuid?.() !== 0)("containerd through the mirror", () => {
  it("pulls and unpacks by tag, saying by ns which registry it wants", async () => {
    const setting = await startMirroredRegistry();
    const { image, blobBytes, registry } = setting;
    await using containerd = await startContainerd(join(setting.dir, "c"));
    const hosts = await hostsFor(setting);
    await containerd.ctr("images", "pull", "--hosts-dir", hosts, "--snapshotter", "native", `${NAME}:v1`);
    await expectImage(containerd, setting);
    expect(blobBytes()).toBe(image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0));
    expect(registry.log()).not.toContain("containerd/");
  });

  it("fetches by digest, and from the registry itself when the daemon is gone", async () => {
    const setting = await startMirroredRegistry();
    const hosts = await hostsFor(setting);
    const { daemon, index, registry } = setting;
    await using one = await startContainerd(join(setting.dir, "1"));
    await one.ctr("content", "fetch", "--hosts-dir", hosts, `${NAME}@${index.digest}`);
    await expectImage(one, setting);
    expect(registry.log()).not.toContain("containerd/");
    await daemon.stop();
    await using two = await startContainerd(join(setting.dir, "2"));
    await two.ctr("content", "fetch", "--hosts-dir", hosts, `${NAME}:v1`);
    await expectImage(two, setting);
  });

  it("gets all from the registry itself when the mirror's way there dies in the midst of blobs", async () => {
    const setting = await startMirroredRegistry();
    const hosts = await hostsFor(setting);
    setting.proxy.setRules([
      { path: /blobs/, nth: { to: 3 }, fault: { kind: "drop", afterBytes: 1 << 20 } },
      { path: /blobs/, nth: { from: 4 }, fault: { kind: "reset" } },
    ]);
    await using containerd = await startContainerd(join(setting.dir, "c"));
    await containerd.ctr("content", "fetch", "--hosts-dir", hosts, `${NAME}:v1`);
    await expectImage(containerd, setting);
  });

  it("never takes wrong bytes from upstream for a layer", async () => {
    const setting = await startMirroredRegistry();
    const hosts = await hostsFor(setting);
    const digests = setting.image.layers.map(({ descriptor }) => descriptor.digest.slice("sha256:".length));
    setting.proxy.setRules([{ path: new RegExp(digests.join("|")), fault: { kind: "flip", atByte: 1000 } }]);
    await using containerd = await startContainerd(join(setting.dir, "c"));
    const fetching = containerd.ctr("content", "fetch", "--hosts-dir", hosts, `${NAME}:v1`);
    const isThere = await fetching.then(
      () => true,
      () => false,
    );
    if (isThere) await expectImage(containerd, setting);
    for (const { descriptor } of setting.image.layers) {
      expect(await setting.daemon.store.content.stat(descriptor.digest)).toBeUndefined();
    }
  });
});
