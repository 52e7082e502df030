/** Drivers by name. Each is loaded when it is used: a store has the snapshots of one, mostly. */
import type { Store } from "../store/store.ts";
import type { Driver, DriverName } from "./types.ts";

/** @throws VarveError `DRIVER_UNAVAILABLE`, `FFI_UNAVAILABLE`; whether it can mount here is for `probeDrivers` to say */
export async function openDriver(name: DriverName, store: Store): Promise<Driver> {
  switch (name) {
    case "erofs":
      return new (await import("./erofs/driver.ts")).ErofsDriver(store);
    case "overlay":
      return (await import("./overlay/driver.ts")).OverlayDriver.open(store);
    case "copy":
      return new (await import("./copy/driver.ts")).CopyDriver(store);
  }
}
