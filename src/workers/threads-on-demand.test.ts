import { expect, it } from "vitest";
import { describeLayerThreads } from "../layer/threads.suite.ts";
import { ThreadsOnDemand } from "./threads-on-demand.ts";

describeLayerThreads("threads on demand", () => new ThreadsOnDemand());

it("ends without having begun", async () => {
  await using threads = new ThreadsOnDemand();
  expect(threads).toBeDefined();
});
