/** What is learnt of layers that came whole, from the tables of contents in their blobs. */
import { existsSync } from "node:fs";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { chunkedLayer } from "../../../test/kit/images/chunked-layer.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import type { PlacedPieces } from "../../codec/piece-table.ts";
import type { Digest } from "../../oci/digest.ts";
import { digestOf } from "../../oci/digest.ts";
import { heldFiles } from "../../snapshot/held-files.ts";
import type { HeldLayer } from "../../store/local-sources/held-layer.ts";
import { HeldSources } from "../../store/local-sources/local-sources.ts";
import { pull } from "../pull.ts";
import { openSnapshots } from "../snapshotter.ts";
import { learnTables } from "./learn-tables.ts";

const signal = new AbortController().signal;
const rng = createRng(3);
const CONTENT = [rng.bytes(300_000), rng.bytes(1000)];

async function bench() {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const context = await transferContext();
  const snapshots = await openSnapshots(context.store, "copy", { sync: false });
  const snapshotter = { choice: "copy" as const, open: () => Promise.resolve({ snapshots }) };
  const layers = [
    await chunkedLayer(CONTENT.map((bytes, at) => file(`f${at}`, bytes))),
    await chunkedLayer([file("other", "text")]),
  ];
  await pushImage(registry.host, "app", "1", await buildImage({ layers }));
  await pull({ ...context, snapshotter }, `${registry.host}/app:1`, {});
  const { store } = context;
  const held = await heldFiles(store);
  const told = new Map<Digest, string[]>();
  const sources = {
    async record(diffId: Digest, pieces: PlacedPieces) {
      const whole = Array.from({ length: pieces.length }, (_, piece) => piece).filter(
        (piece) => pieces.start(piece) === 0,
      );
      told.set(
        diffId,
        whole.map((piece) => pieces.digest(piece) ?? ""),
      );
      await Promise.resolve();
    },
  };
  return {
    store,
    layers,
    held,
    told,
    learn: (of: readonly HeldLayer[]) => learnTables({ store, sources, held: of, signal }),
  };
}

it("tells what each layer holds, and asks for no file's digest to be found out", async () => {
  const { layers, held, told, learn } = await bench();
  await learn(held);
  expect(told.get(layers[0]!.diffId)).toEqual(expect.arrayContaining(CONTENT.map((bytes) => digestOf(bytes))));
  expect(told.get(layers[1]!.diffId)).toEqual([digestOf("text")]);
});

it("is kept, so that a table is read once", async () => {
  const { store, held, told, learn } = await bench();
  await using sources = new HeldSources({ store, listHeld: () => heldFiles(store) });
  await learnTables({ store, sources, held, signal });
  expect(held.every(({ folder }) => existsSync(join(folder, "sources.known")))).toBe(true);
  await learn(await heldFiles(store));
  expect(told.size).toBe(0);
});

it("is nothing of layers that are not held, nor of a blob that is damaged or gone", async () => {
  const { store, layers, held, told, learn } = await bench();
  await learn([]);
  expect(told.size).toBe(0);
  await truncate(store.content.pathOf(layers[0]!.descriptor.digest), 100);
  await learn(held);
  expect([...told.keys()]).toEqual([layers[1]!.diffId]);
  told.clear();
  for (const { descriptor } of layers) await store.content.remove(descriptor.digest);
  await learn(held);
  expect(told.size).toBe(0);
});
