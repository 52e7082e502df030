/** The drivers that work on this machine, found out as varve does; tests of others are skipped. */
import { probeDrivers } from "../../../src/snapshot/probe.ts";
import type { DriverName } from "../../../src/snapshot/types.ts";
import { tempDir } from "../temp-dir.ts";

export async function usableDrivers(): Promise<DriverName[]> {
  await using trial = await tempDir();
  return (await probeDrivers(trial.path)).flatMap(({ name, usable }) => (usable ? [name] : []));
}
