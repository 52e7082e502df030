/** `npm run test:soak` for some seconds: a few commands of two users. */
import { expect, it } from "vitest";
import { tempDir } from "../kit/temp-dir.ts";
import { soak } from "./soak.ts";

it("a store that two users change at once is what they made of it (a few commands)", async () => {
  await using dir = await tempDir("varve-soak-");
  const options = { seed: 1, dir: dir.path, milliseconds: 60_000, commands: 3, processes: 2, layerBytes: 100_000 };
  expect(await soak(options)).toEqual([]);
}, 300_000);
