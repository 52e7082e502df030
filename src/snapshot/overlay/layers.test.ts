import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { layersSuite } from "../../../test/kit/snapshot/layers.suite.ts";
import { OverlayDriver } from "./driver.ts";

layersSuite("the overlay driver", (store) => OverlayDriver.open(store), { mounts: canMount() });
