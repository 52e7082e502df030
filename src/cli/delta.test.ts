/** `varve delta create` and `inspect` as they are written on a command line, and what people read. */
import { expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import type { DeltaCreated, DeltaLayerResult } from "../transfer/deltas/create-types.ts";
import type { DeltaDetails } from "../transfer/deltas/inspect-types.ts";
import { runWith } from "./services.suite.ts";

const LAYER: DeltaLayerResult = {
  diffId: digestOf("layer"),
  how: "delta",
  bytes: 5_000_000,
  blobBytes: 2_000_000,
  deltaBytes: 50_000,
  deltaBlobBytes: 20_000,
  commands: 7,
  copiedBytes: 4_960_000,
  addedBytes: 0,
  literalBytes: 40_000,
  helps: true,
  from: null,
};

const CREATED: DeltaCreated = {
  format: "librsync",
  base: "app:1",
  target: "app:2",
  baseId: digestOf("base"),
  targetId: digestOf("target"),
  digest: digestOf("delta"),
  imageId: digestOf("config"),
  name: "docker.io/library/app:1-2",
  pushed: null,
  isListed: false,
  layers: [LAYER],
  bytes: 5_000_000,
  deltaBytes: 50_000,
  blobBytes: 2_000_000,
  deltaBlobBytes: 20_000,
  helps: true,
  durationMs: 1500,
  peakRssBytes: 1,
  warnings: [],
};

it("flags and global flags become options", async () => {
  const calls: unknown[] = [];
  const createDelta = (...args: unknown[]): Promise<DeltaCreated> => Promise.resolve((calls.push(args), CREATED));
  const words =
    "delta create app:1 app:2 -t app:1-2 --format tar-diff --push docker://host/app -j 3 --platform linux/arm64";
  expect((await runWith(words.split(" "), { createDelta })).code).toBe(0);
  expect(calls).toEqual([
    [
      "app:1",
      "app:2",
      {
        tag: "app:1-2",
        format: "tar-diff",
        push: "host/app",
        jobs: 3,
        platform: { os: "linux", architecture: "arm64" },
      },
    ],
  ]);
  await runWith(["delta", "create", "a", "b"], { createDelta });
  expect(calls[1]).toEqual(["a", "b", {}]);
});

it("ends with what balena's engine says", async () => {
  const { host } = await runWith(["delta", "create", "app:1", "app:2"], {
    createDelta: () => Promise.resolve(CREATED),
  });
  expect(host.out).toContain("Normal size: 5.00 MB, Delta size: 50.0 kB, 100.00x improvement");
  expect(host.out).toContain(CREATED.digest);
  const quiet = await runWith(["delta", "create", "-q", "a", "b"], { createDelta: () => Promise.resolve(CREATED) });
  expect(quiet.host.out).toBe(`${CREATED.digest}\n`);
});

it("says that nothing is gained, and that is no failure", async () => {
  const none = { ...CREATED, helps: false, layers: [{ ...LAYER, helps: false, how: "literal" as const }] };
  const { host, code } = await runWith(["delta", "create", "a", "b"], { createDelta: () => Promise.resolve(none) });
  expect(code).toBe(0);
  expect(host.err).toContain("no layer gains by it");
  expect(host.out).toContain("literal, gains nothing");
});

it("refuses flags of other actions, and a wrong number of images", async () => {
  expect((await runWith(["delta", "create", "a"], {})).code).toBe(2);
  expect((await runWith(["delta", "inspect", "a", "--format", "tar-diff"], {})).code).toBe(2);
  expect((await runWith(["delta", "create", "a", "b", "--format", "zip"], {})).code).toBe(2);
});

it("inspect tells whether the delta could be applied", async () => {
  const details: DeltaDetails = {
    name: "app:1-2",
    kind: "image",
    digest: CREATED.digest!,
    base: { imageId: CREATED.baseId, names: ["docker.io/library/app:1"], diffIds: [digestOf("below")] },
    target: { imageId: CREATED.targetId, names: [], manifest: null },
    isApplicable: false,
    layers: [
      {
        diffId: LAYER.diffId,
        how: "librsync-delta",
        blob: digestOf("blob"),
        bytes: 5_000_000,
        deltaBytes: 50_000,
        deltaBlobBytes: 20_000,
        commands: 7,
        copiedBytes: 4_960_000,
        addedBytes: 0,
        literalBytes: 40_000,
        from: [digestOf("below")],
        isBaseHere: false,
      },
    ],
    bytes: 5_000_000,
    deltaBytes: 50_000,
    deltaBlobBytes: 20_000,
  };
  const inspectDelta = (): Promise<DeltaDetails> => Promise.resolve(details);
  const { host, code } = await runWith(["delta", "inspect", "app:1-2"], { inspectDelta });
  expect(code).toBe(0);
  expect(host.out).toContain("here as docker.io/library/app:1");
  expect(host.out).toMatch(/99% +40.0 kB +20.0 kB +missing/);
  const json = await runWith(["delta", "inspect", "app:1-2", "--json"], { inspectDelta });
  expect(JSON.parse(json.host.out)).toEqual(details);
});
