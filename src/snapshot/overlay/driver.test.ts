import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { snapshotterSuite } from "../../../test/kit/snapshot/snapshotter.suite.ts";
import { OverlayDriver } from "./driver.ts";

snapshotterSuite("the overlay driver", (store) => OverlayDriver.open(store), {
  mounts: canMount(),
  renamesDirectories: false,
});
