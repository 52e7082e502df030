import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { layersSuite } from "../../../test/kit/snapshot/layers.suite.ts";
import { ErofsDriver } from "./driver.ts";

layersSuite("the EROFS driver", (store) => new ErofsDriver(store), { mounts: canMount() });
