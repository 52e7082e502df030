/**
 * A program of its own: unpacks tars into snapshots of the copy driver as whoever starts it, and prepares one more on them.
 * `node copy-as.ts ROOT TAR...` prints the reports of the layers, and where the last tree is, as JSON.
 */
import { readFileSync } from "node:fs";
import { CopyDriver } from "../../../src/snapshot/copy/driver.ts";
import { Snapshots } from "../../../src/snapshot/service.ts";
import { openStore } from "../../../src/store/store.ts";
import { piecesOf } from "../layer/apply-all.ts";

export interface CopyAsResult {
  readonly skipped: readonly { readonly owners: number; readonly devices: number; readonly xattrs: number }[];
  readonly committed: string;
  readonly prepared: string;
}

const [root = "", ...tars] = process.argv.slice(2);
await using store = await openStore(root, { sync: false });
const snapshots = new Snapshots({ store, driver: new CopyDriver(store), sync: false });
const skipped: unknown[] = [];
for (const [index, path] of tars.entries()) {
  const [mount] = await snapshots.prepare("active");
  if (mount === undefined) throw new Error("no mount");
  const tar = (): Promise<AsyncIterable<Uint8Array>> => Promise.resolve(piecesOf(readFileSync(path)));
  const done = await snapshots.commit(String(index), "active", {
    tar,
    ...(index > 0 && { parent: String(index - 1) }),
  });
  skipped.push(done.report?.skipped);
}
const [view] = await snapshots.view("view", String(tars.length - 1));
const [active] = await snapshots.prepare("child", String(tars.length - 1));
console.log(JSON.stringify({ skipped, committed: view?.source, prepared: active?.source }));
