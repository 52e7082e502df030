/** Starts {@link file://./snapshot-child.ts} and follows what it says. */
import { fileURLToPath } from "node:url";
import { startProgram, type StoreProcess } from "../store/store-process.ts";

const PROGRAM = fileURLToPath(new URL("snapshot-child.ts", import.meta.url));

export interface SnapshotJob {
  readonly root: string;
  readonly act: "prepare" | "commit" | "remove" | "unpack" | "stage" | "churn" | "sweep";
  readonly key?: string;
  readonly name?: string;
  readonly parent?: string;
  /** Of an image: how many layers, and which. */
  readonly layers?: number;
  readonly seed?: number;
  readonly rounds?: number;
  /** A step at which the process kills itself. */
  readonly dieAt?: string;
}

export function startSnapshotProcess(job: SnapshotJob): StoreProcess {
  return startProgram(PROGRAM, job);
}
