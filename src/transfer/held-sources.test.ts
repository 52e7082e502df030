/** The indexes over held content are no strangers to who checks, counts and cleans the store. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { snapshotContext } from "../../test/kit/snapshot/unpacked-image.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { heldFiles } from "../snapshot/held-files.ts";
import { sweepSnapshots } from "../snapshot/sweep.ts";
import { ErofsDriver } from "../snapshot/erofs/driver.ts";
import { CopyDriver } from "../snapshot/copy/driver.ts";
import { StoreLayout } from "../store/layout.ts";
import { HeldSources } from "../store/local-sources/local-sources.ts";
import type { PieceTable } from "../codec/piece-table.ts";
import { digestOf } from "../oci/digest.ts";
import { diskUsage } from "./disk-usage.ts";
import { checkStore } from "./fsck.ts";
import { removeImages } from "./images.ts";

/** Makes the search look at everything. */
const WANTED: PieceTable = { length: 1, size: () => 7, digest: () => digestOf("nothing"), name: () => "nothing" };

describe.each([
  ["erofs", (root: ConstructorParameters<typeof ErofsDriver>[0]) => new ErofsDriver(root)],
  ["copy", undefined],
] as const)("indexes in the folders of the %s driver", (_, open) => {
  it("are counted, are no finding, and go with the image", async () => {
    const context = await snapshotContext(open && (({ store }) => Promise.resolve(open(store))));
    const { store } = context;
    await context.addImage("localhost/image:1", { layers: [[file("dir/f", "content")], [file("dir/g", "another")]] });
    const before = await diskUsage(context);
    await using sources = new HeldSources({ store, listHeld: () => heldFiles(store) });
    await (await sources.locate(WANTED))[Symbol.asyncDispose]();
    const after = await diskUsage(context);
    expect(after.totalBytes).toBeGreaterThan(before.totalBytes);
    const report = await checkStore(context);
    expect(report.findings).toEqual([]);
    await removeImages(context, ["localhost/image:1"]);
    await sweepSnapshots({ store, drivers: [new ErofsDriver(store), new CopyDriver(store)] });
    const layout = new StoreLayout(store.root);
    expect([layout.snapshots, `${layout.layers}/sha256`].flatMap((path) => foldersIn(path))).toEqual([]);
  });
});

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}
