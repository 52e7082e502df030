/**
 * Random pushes, mounts and deletions by several clients at once, with garbage collected in between: all that was pushed and not deleted is
 * served byte for byte, in the repositories that have it and in no others, and the store keeps nothing else.
 */
import { expect, it } from "vitest";
import type { Digest } from "../../../src/oci/digest.ts";
import { serveStore } from "../../kit/daemon/serve-store.ts";
import { RandomClient } from "./random-client.ts";

const NAMES = ["a", "a/b", "c-d"] as const;
const ROUNDS = 8;
const STEPS = 25;

it.each([1, 2])("serves what it is to have and nothing else (seed %i)", async (seed) => {
  await using served = await serveStore();
  const clients = NAMES.map((name, index) => new RandomClient(served.url, name, seed * 100 + index));
  const known = new Set<Digest>();
  for (let round = 0; round < ROUNDS; round++) {
    const collecting = served.store.collectGarbage({ partialsOlderThanMs: 0 });
    await Promise.all(
      clients.map(async (client) => {
        for (let step = 0; step < STEPS; step++) {
          await client.step(clients);
          for (const held of [client.model.blobs, client.model.manifests])
            for (const digest of held.keys()) known.add(digest);
        }
      }),
    );
    await collecting;
    if (round % 4 === 3) for (const client of clients) await client.verify(known);
  }
  await served.store.collectGarbage({ partialsOlderThanMs: 0 });
  for (const client of clients) await client.verify(known);
  const kept = await Array.fromAsync(served.store.content.list(), ({ digest }) => digest);
  const wanted = new Set<Digest>();
  for (const { model } of clients)
    for (const held of [model.blobs, model.manifests]) for (const digest of held.keys()) wanted.add(digest);
  expect(kept.sort()).toEqual([...wanted].sort());
});
