import { chmod, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { digestHex } from "../../src/oci/digest.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { newMachine } from "./machine.ts";
import { sampleImage } from "./samples.ts";

it("unpacking says that the store's copy of a layer went bad, leaves nothing, and goes on after a repair", async () => {
  await using registry = await startRegistry();
  await using machine = await newMachine();
  const image = await sampleImage();
  await pushImage(registry.host, "app", "1", image);
  const name = `${registry.host}/app:1`;
  await machine.pull(name);

  const digest = image.layers[0]!.descriptor.digest;
  const blob = join(machine.root, "blobs/sha256", digestHex(digest));
  await chmod(blob, 0o644);
  const file = await open(blob, "r+");
  await file.write(Buffer.from("damage"), 0, 6, Math.floor((await stat(blob)).size / 2));
  await file.close();

  const tree = join(machine.path, "tree");
  const error = await machine.fails("unpack", name, tree);
  expect(error).toMatchObject({
    code: "DIGEST_MISMATCH",
    exit: 5,
    hint: expect.stringContaining("varve fsck --repair"),
  });
  expect(error.message).toContain(digest);
  await expect(stat(tree)).rejects.toMatchObject({ code: "ENOENT" });

  await machine.ok("fsck", "--repair");
  expect(await machine.ok("unpack", name, tree)).toMatchObject({ layers: image.layers.length });
});
