import { describe, expect, it } from "vitest";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { parseManifest } from "../../oci/manifest.ts";
import { listedReferrers, listReferrers } from "./store-referrers.ts";

describe("the store's list of what refers to an image", () => {
  it("has all that many added to it at once", async () => {
    const { store, signal } = await transferContext();
    const image = await buildImage({ layers: [[file("f")]] });
    const artifactType = "application/vnd.example.note";
    const notes = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        buildImage({ layers: [[file("note", `${at}`)]], artifactType, subject: image.descriptor }),
      ),
    );
    const name = "docker.io/library/app:1";
    await Promise.all(
      notes.map(async ({ bytes }) => {
        await using lease = await store.leases.create();
        await listReferrers(store, name, [parseManifest(bytes)], lease, signal);
      }),
    );
    const listed = await listedReferrers(store, name, image.digest);
    expect(listed.map(({ digest }) => digest).toSorted()).toEqual(notes.map(({ digest }) => digest).toSorted());
  });
});
