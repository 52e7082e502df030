import { snapshotterSuite } from "../../../test/kit/snapshot/snapshotter.suite.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { CopyDriver } from "./driver.ts";

snapshotterSuite("the copy driver", (store) => new CopyDriver(store), { mounts: canMount() });
