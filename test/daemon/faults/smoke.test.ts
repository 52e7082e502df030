/** A small trial of the daemon; `npm run test:faults -- --part daemon` has a thousand requests. */
import { expect, it } from "vitest";
import { tempDir } from "../../kit/temp-dir.ts";
import { runTrial } from "./trial.ts";

it("a daemon that is killed twice among requests and faults keeps what it said and says what is right", async () => {
  await using dir = await tempDir("varve-trial-");
  const options = { seed: 1, dir: dir.path, requests: 60, kills: 2, clients: 4, snapshotter: "none" } as const;
  const { answers } = await runTrial(options);
  expect(answers.get("answered")).toBeGreaterThan(60);
}, 120_000);
