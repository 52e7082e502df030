import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../test/kit/images/oci-layout.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { moveImage, readImage } from "./move-image.suite.ts";

const run = promisify(execFile);
const skopeo = findPeer("skopeo");

async function skopeoCopy(from: string, to: string): Promise<void> {
  await run(skopeo ?? "", ["--insecure-policy", "copy", "--quiet", from, to]);
}

async function skopeoDigest(of: string): Promise<Digest> {
  const { stdout } = await run(skopeo ?? "", ["--insecure-policy", "inspect", "--raw", of], { encoding: "buffer" });
  return digestOf(stdout);
}

function build(): Promise<KitImage> {
  const layers = ["one", "two"].map(
    (path) => [{ type: "file", path, content: Buffer.from(path.repeat(1000)) }] as const,
  );
  return buildImage({ layers });
}

describe.skipIf(skopeo === undefined)("skopeo and varve", () => {
  it("read each other's image layouts and archives of them, digests kept", async () => {
    await using dir = await tempDir();
    const built = await build();
    await writeOciLayout(join(dir.path, "start"), built, "v1");
    const place = (transport: string, name: string): string => `${transport}:${join(dir.path, name)}:v1`;
    for (const transport of ["oci", "oci-archive"]) {
      const [ours, theirs] = [place(transport, `ours-${transport}`), place(transport, `theirs-${transport}`)];
      await moveImage(place("oci", "start"), ours);
      expect(await skopeoDigest(ours)).toBe(built.digest);
      await skopeoCopy(ours, theirs);
      const { root, blobs } = await readImage(theirs);
      expect(root.digest).toBe(built.digest);
      for (const { descriptor, bytes } of built.layers) expect(blobs.get(descriptor.digest)).toEqual(bytes);
    }
  });

  it("add to each other's layouts without losing an image", async () => {
    await using dir = await tempDir();
    const built = await build();
    await writeOciLayout(join(dir.path, "start"), built, "v1");
    const [start, shared] = [`oci:${join(dir.path, "start")}:v1`, `oci:${join(dir.path, "shared")}`];
    await skopeoCopy(start, `${shared}:theirs`);
    await moveImage(start, `${shared}:ours`);
    await skopeoCopy(start, `${shared}:more`);
    for (const tag of ["theirs", "ours", "more"]) {
      expect(await skopeoDigest(`${shared}:${tag}`)).toBe(built.digest);
      expect((await readImage(`${shared}:${tag}`)).root.digest).toBe(built.digest);
    }
  });

  it("read each other's archives of docker save, the image ID kept", async () => {
    await using dir = await tempDir();
    const built = await build();
    await writeOciLayout(join(dir.path, "start"), built, "v1");
    const start = `oci:${join(dir.path, "start")}:v1`;
    const place = (name: string): string => `docker-archive:${join(dir.path, name)}:example.com/foo/bar:v1`;
    await moveImage(start, place("ours.tar"));
    await skopeoCopy(start, place("theirs.tar"));
    for (const name of ["ours.tar", "theirs.tar"]) {
      const { root, blobs } = await readImage(place(name));
      expect(root).toMatchObject({
        config: { digest: built.config.digest },
        layers: built.layers.map(({ diffId }) => ({ digest: diffId })),
      });
      expect(blobs.get(built.config.digest)).toEqual(built.config.bytes);
      // Through skopeo's eyes the two are one image.
      await skopeoCopy(place(name), `oci:${join(dir.path, `from-${name}`)}`);
    }
    const index = (name: string): Promise<string> => readFile(join(dir.path, `from-${name}`, "index.json"), "utf8");
    expect(await index("ours.tar")).toBe(await index("theirs.tar"));
  });

  it("know the names of images in an archive alike", async () => {
    await using dir = await tempDir();
    await writeOciLayout(join(dir.path, "start"), await build(), "v1");
    const archive = `docker-archive:${join(dir.path, "a.tar")}`;
    await moveImage(`oci:${join(dir.path, "start")}`, `${archive}:foo`);
    expect(await skopeoDigest(`${archive}:docker.io/library/foo:latest`)).toBe(await skopeoDigest(archive));
    await expect(skopeoDigest(`${archive}:bar`)).rejects.toThrow("not found");
  });
});
