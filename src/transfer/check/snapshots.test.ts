/** Checking beside those who remove: what went while the check was on its way to it is no fault; what is lost is. */
import { rm } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { CopyDriver } from "../../snapshot/copy/driver.ts";
import { ErofsDriver } from "../../snapshot/erofs/driver.ts";
import { Snapshots } from "../../snapshot/service.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { TransferContext } from "../context.ts";
import { checkStore } from "../fsck.ts";

/** Lets something happen between the listing of the snapshots and the look at the first of them. */
function afterListing({ store }: TransferContext, happens: () => Promise<void>): void {
  const { snapshots } = store;
  const walk = snapshots.walk.bind(snapshots);
  snapshots.walk = async function* (...given) {
    snapshots.walk = walk;
    yield* walk(...given);
    await happens();
  };
}

describe.each([
  ["copy", CopyDriver],
  ["erofs", ErofsDriver],
] as const)("a committed snapshot of the %s driver", (_, DriverOf) => {
  const made = async (): Promise<{ context: TransferContext; snapshots: Snapshots; folder: string }> => {
    const context = await transferContext();
    const { store } = context;
    const snapshots = new Snapshots({ store, driver: new DriverOf(store), sync: false });
    await snapshots.prepare("active");
    await snapshots.commit("base", "active");
    const { id, tree } = await store.snapshots.find(snapshots.driver.name, "base");
    return { context, snapshots, folder: new StoreLayout(store.root).snapshot(tree ?? id) };
  };

  it("that is removed during the check is no fault", async () => {
    const { context, snapshots } = await made();
    afterListing(context, () => snapshots.remove("base"));
    const { findings } = await checkStore(context);
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  it("whose folder is lost during the check is one", async () => {
    const { context, folder } = await made();
    afterListing(context, () => rm(folder, { recursive: true }));
    expect((await checkStore(context)).findings).toMatchObject([{ kind: "snapshot-missing", severity: "error" }]);
  });
});
