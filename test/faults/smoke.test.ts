/** A few cases of each part of `npm run test:faults`, so that they hold at every commit; the full run has some thousand. */
import { expect, it } from "vitest";
import { tempDir } from "../kit/temp-dir.ts";
import { PARTS, runParts } from "./parts.ts";

/** That of the daemon stands beside its own tests. */
const HERE = PARTS.filter((part) => part !== "daemon");

it("a pull survives faults, kills, power cuts and full disks (a few of each)", async () => {
  await using dir = await tempDir("varve-faults-");
  const options = { parts: HERE, seed: 1, only: undefined, largeBytes: 5_000_000, quick: true, dir: dir.path };
  expect(await runParts(options)).toEqual([]);
}, 300_000);
