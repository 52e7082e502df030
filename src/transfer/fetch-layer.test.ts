/** What is here is not fetched, and what was checked is not checked again: also after a check that was cut off. */
import { expect, it, onTestFinished } from "vitest";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { sampleImage } from "../../test/e2e/samples.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { LayerThreads } from "../layer/threads.ts";
import { pull } from "./pull.ts";

it("a layer whose check was cut off is checked from the bytes that are here", async () => {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const image = await sampleImage();
  await pushImage(registry.host, "app", "1", image);
  registry.clearRequests();
  const context = await transferContext();
  const reference = `${registry.host}/app:1`;
  const blobRequests = (): number => registry.requests.filter(({ path }) => path.includes("/blobs/")).length;

  const checked: string[] = [];
  const watching: LayerThreads = {
    ...context.threads,
    check: (file, options) => {
      checked.push(file.path);
      return context.threads.check(file, options);
    },
  };
  const dying: LayerThreads = {
    ...watching,
    async check(file) {
      await file.waitFront(file.size - 1);
      throw new VarveError("INTERNAL", "the thread died");
    },
  };
  await expect(pull({ ...context, threads: dying }, reference, { concurrency: 8 })).rejects.toThrow("the thread died");
  const before = blobRequests();
  const held = before - 1;
  expect(held).toBeGreaterThan(0);

  const again = await pull({ ...context, threads: watching }, reference);
  const present = again.layers.filter(({ how }) => how === "present").length;
  expect(present).toBeGreaterThan(0);
  expect(blobRequests() - before).toBe(image.layers.length - present);
  expect(checked).toHaveLength(image.layers.length);

  checked.length = 0;
  expect(await pull({ ...context, threads: watching }, reference)).toMatchObject({ status: "up-to-date" });
  expect(await pull({ ...context, threads: watching }, `${registry.host}/app@${image.digest}`)).toMatchObject({
    layers: image.layers.map(() => ({ how: "present" })),
  });
  expect(checked).toEqual([]);
  expect(blobRequests() - before).toBe(image.layers.length - present);
});
