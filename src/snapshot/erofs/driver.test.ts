import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { snapshotterSuite } from "../../../test/kit/snapshot/snapshotter.suite.ts";
import { ErofsDriver } from "./driver.ts";

snapshotterSuite("the EROFS driver", (store) => new ErofsDriver(store), {
  mounts: canMount(),
  renamesDirectories: false,
});
