/** skopeo as a client that nobody here wrote: what it pushes comes back to the byte, by it and by varve. */
import { describe, expect, it, onTestFinished } from "vitest";
import { lacks, skopeoCopy, skopeoRaw } from "../../e2e/peers/programs.ts";
import { newMachine } from "../../e2e/machine.ts";
import { serveStore } from "../../kit/daemon/serve-store.ts";
import { buildImage, buildIndex } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { file } from "../../kit/trees/tree-node.ts";

describe.skipIf(lacks("skopeo"))("skopeo", () => {
  it("copies an index with all its images to the daemon's registry and back", async () => {
    const served = await serveStore();
    onTestFinished(() => served[Symbol.asyncDispose]());
    await using origin = await startRegistry();
    await using machine = await newMachine();
    const images = await Promise.all(
      ["amd64", "arm64"].map((architecture) =>
        buildImage({
          layers: [[file("arch", architecture)], [file("same", "x".repeat(100_000))]],
          platform: { os: "linux", architecture },
        }),
      ),
    );
    const index = buildIndex(images);
    await pushImage(origin.host, "app", "v1", index);
    const [theirs, ours] = [`docker://${origin.host}/app:v1`, `docker://${served.host}/team/app:v1`];
    await skopeoCopy(theirs, ours, "--all", "--preserve-digests");
    expect((await skopeoRaw(ours)).equals(index.bytes)).toBe(true);
    // All of it: skopeo hashes every blob that it copies.
    await skopeoCopy(ours, `dir:${machine.path}/back`, "--all", "--preserve-digests");
    expect((await skopeoRaw(`dir:${machine.path}/back`)).equals(index.bytes)).toBe(true);
    // Within the registry: what the one has the other mounts.
    await skopeoCopy(ours, `docker://${served.host}/team/other:v2`, "--all", "--preserve-digests");
    const { digest } = await machine.pull(`${served.host}/team/other:v2`);
    expect(digest).toBe(index.digest);
    expect(await served.store.repositories.list("hosted")).toEqual(["team/app", "team/other"]);
    expect((await served.store.collectGarbage()).blobs.count).toBe(0);
  });
});
