/** skopeo through the daemon's mirror: it knows no `ns`, and names the registry in the path. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestHex } from "../../../src/oci/digest.ts";
import { startMirroredRegistry, UPSTREAM } from "../../kit/daemon/mirrored-registry.ts";
import { findPeer } from "../../kit/peers.ts";
import { runOk } from "../../kit/peers/run.ts";

const skopeo = findPeer("skopeo");
const missing = skopeo === undefined || findPeer("docker-registry") === undefined;

describe.skipIf(missing)("skopeo through the mirror", () => {
  it("copies by tag and by digest, whole and right, and the second time upstream sends no blob", async () => {
    const { daemon, dir, image, index, blobBytes } = await startMirroredRegistry();
    const copy = async (reference: string, to: string): Promise<void> => {
      const from = `docker://${daemon.host}/${UPSTREAM}/team/app${reference}`;
      await runOk(skopeo!, ["copy", "--all", "--src-tls-verify=false", from, `oci:${join(dir, to)}:v1`]);
      for (const { bytes, digest } of [index, image, ...image.blobs]) {
        const stored = await readFile(join(dir, to, "blobs/sha256", digestHex(digest)));
        expect(stored.equals(bytes)).toBe(true);
      }
    };
    await copy(":v1", "tag");
    const once = image.blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(blobBytes()).toBe(once);
    await copy(`@${index.digest}`, "digest");
    expect(blobBytes()).toBe(once);
  });

  it("lists tags and inspects", async () => {
    const { daemon, index } = await startMirroredRegistry();
    const name = `docker://${daemon.host}/${UPSTREAM}/team/app`;
    const listed = await runOk(skopeo!, ["list-tags", "--tls-verify=false", name]);
    expect(JSON.parse(listed.stdout.toString())).toMatchObject({ Tags: ["v1"] });
    const raw = await runOk(skopeo!, ["inspect", "--raw", "--tls-verify=false", `${name}:v1`]);
    expect(raw.stdout.equals(index.bytes)).toBe(true);
  });

  it("does not notice that the line to upstream breaks in the midst of blobs", async () => {
    const { daemon, dir, image, proxy } = await startMirroredRegistry();
    proxy.setRules([
      { path: /blobs/, nth: { to: 2 }, fault: { kind: "drop", afterBytes: 1 << 20 } },
      { path: /blobs/, nth: { from: 3, to: 4 }, fault: { kind: "reset" } },
    ]);
    const from = `docker://${daemon.host}/${UPSTREAM}/team/app:v1`;
    await runOk(skopeo!, ["copy", "--all", "--src-tls-verify=false", from, `oci:${join(dir, "out")}:v1`]);
    for (const { bytes, digest } of image.blobs) {
      expect((await readFile(join(dir, "out/blobs/sha256", digestHex(digest)))).equals(bytes)).toBe(true);
    }
    expect(proxy.strikes.length).toBeGreaterThan(2);
  });
});
