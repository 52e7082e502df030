/**
 * What every driver has to pass, under the service: containerd's snapshotter suite (formats layer-apply "Snapshotter suite"), its metastore's
 * cases of a parent that comes late, and what has been wanted there for long.
 */
import { describe } from "vitest";
import type { MakeDriver } from "./bench.ts";
import { rebaseCases } from "./rebase.suite.ts";
import { stateCases } from "./states.suite.ts";
import { treeCases } from "./trees.suite.ts";

export interface Capabilities {
  /** Whether what the driver says can be mounted here. All tests are skipped where it cannot. Default true. */
  readonly mounts?: boolean;
  /** Whether directories of lower layers can be renamed; overlayfs says EXDEV. Default true. */
  readonly renamesDirectories?: boolean;
}

/** @param name of the driver, for the tests' names */
export function snapshotterSuite(name: string, makeDriver: MakeDriver, capabilities: Capabilities = {}): void {
  const { mounts = true, renamesDirectories = true } = capabilities;
  const needs = mounts ? "" : " (cannot be mounted here: skipped)";
  describe.skipIf(!mounts)(`the snapshotter suite on ${name}${needs}`, () => {
    stateCases(makeDriver);
    treeCases(makeDriver, renamesDirectories);
    rebaseCases(makeDriver);
  });
}
