/** A store in a temporary directory and a context over it, for use cases that need no registry. */
import { onTestFinished } from "vitest";
import { inProcess } from "../../../src/layer/in-process.ts";
import type { ProgressEvent } from "../../../src/recipe/progress.ts";
import { openStore } from "../../../src/store/store.ts";
import type { TransferContext } from "../../../src/transfer/context.ts";
import { testClient } from "../http/test-client.ts";
import { tempDir } from "../temp-dir.ts";

export interface TestContext extends TransferContext {
  /** A directory for the test, beside the store. */
  readonly path: string;
  readonly events: readonly ProgressEvent[];
}

/** Gone when the test that asked for it has finished. */
export async function transferContext(): Promise<TestContext> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const store = await openStore(`${dir.path}/store`, { sync: false });
  onTestFinished(() => store.close());
  const registry = testClient();
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const events: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent): void => void events.push(event);
  const { signal } = new AbortController();
  return { store, registry, threads: inProcess, signal, onProgress, path: dir.path, events };
}
