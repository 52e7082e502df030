import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "web/src/**/*.test.ts", "test/**/*.test.ts"],
    pool: "forks",
    // Many tests wait for disks and for other programs: one worker a core, where vitest would leave one core to itself.
    maxWorkers: availableParallelism(),
    // For a machine under load; nothing takes nearly as long on one that is at rest.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    globalSetup: ["test/kit/peer-report.ts"],
  },
});
