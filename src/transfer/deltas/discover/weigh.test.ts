/** Which deltas are worth their while, by what they and the other ways would cost. */
import { describe, expect, it } from "vitest";
import { at } from "../../../../test/kit/http/test-client.ts";
import { transferContext } from "../../../../test/kit/store/transfer-context.ts";
import { digestOf } from "../../../oci/digest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import { planFetch } from "../../plan-fetch.ts";
import type { LayerDelta, LayerDeltas } from "../types.ts";
import { demandDeltas } from "./demand-deltas.ts";
import { isChunkedBetter, mayAnyBeWorth, weighDeltas, type WeighOptions } from "./weigh.ts";

const MB = 1e6;
const FACTS = { ranges: true, layersLeft: 1, concurrency: 4, done: [] };
const diffId = digestOf("a layer");
const reference = at("registry.example");

function taskOf(size: number) {
  const blob = { mediaType: MEDIA_TYPES.ociLayerGzip, digest: digestOf(`a blob of ${size}`), size };
  return { task: { reference, blob, diffId }, plain: planFetch(blob, FACTS) };
}

function deltaOf(bytes: number, size?: number): LayerDelta {
  const blob = { mediaType: "application/vnd.tar-diff", digest: digestOf(`a delta of ${bytes}`), size: bytes };
  return { how: "tar-diff", diffId, blob, reference, base: [diffId], ...(size !== undefined && { size }) };
}

async function weighed(blobBytes: number, deltas: readonly LayerDelta[], options: Partial<WeighOptions> = {}) {
  const { task, plain } = taskOf(blobBytes);
  const given = { mode: "auto" as const, rates: {}, layersLeft: 1, concurrency: 4, plain, ...options };
  return weighDeltas(await transferContext(), task, deltas, given);
}

describe("a delta", () => {
  it("is worth it where it and its making take less than the blob, the quickest first", async () => {
    const { worth } = await weighed(50 * MB, [deltaOf(20 * MB, 100 * MB), deltaOf(MB, 100 * MB), deltaOf(49 * MB)]);
    expect(worth.map(({ delta }) => delta.blob.size)).toEqual([MB, 20 * MB]);
    expect(worth[0]?.cost).toEqual({ network: MB, requests: 1, local: 100 * MB, data: 0, zero: 0 });
    expect(worth[0]?.why).toBe("tar-diff: from a layer that is here; 49000000 bytes less from the network than full");
  });

  it("is not where it has most of the blob's bytes, however near the registry, and why is told", async () => {
    expect(await weighed(10 * MB, [deltaOf(9.5 * MB, 10 * MB)])).toEqual({
      worth: [],
      why: "tar-diff would save too little: 9500000 of 10000000 bytes",
    });
    const near = { network: 100 * MB, request: 0.0001 };
    expect((await weighed(10 * MB, [deltaOf(100, 100 * MB)], { rates: near })).worth).toEqual([]);
    expect(await weighed(10 * MB, [])).toEqual({ worth: [] });
  });

  it("of unknown size is taken to be made only when it is here", async () => {
    const [known, unknown] = [deltaOf(MB, 30 * MB), deltaOf(MB + 1)];
    const { worth } = await weighed(10 * MB, [unknown, known], { rates: { network: MB } });
    expect(worth.map(({ delta }) => delta)).toEqual([known, unknown]);
    expect(worth[1]!.seconds - worth[0]!.seconds).toBeCloseTo(0.06, 2);
  });

  it("is taken at any cost where no other way is wanted", async () => {
    const { worth } = await weighed(10 * MB, [deltaOf(90 * MB, 10 * MB)], { mode: "always" });
    expect(worth).toHaveLength(1);
  });

  it("is compared with pieces of the blob", async () => {
    const { worth } = await weighed(50 * MB, [deltaOf(10 * MB, 20 * MB)]);
    const [best] = worth;
    const pieces = (network: number) => ({ network, requests: 10, local: 20 * MB, data: 0, zero: 0 });
    expect(isChunkedBetter(pieces(MB), best!, {})).toBe(true);
    expect(isChunkedBetter(pieces(20 * MB), best!, {})).toBe(false);
  });

  it("is not even looked for where the blob takes no longer than looking", () => {
    expect(mayAnyBeWorth(taskOf(1000).plain, {})).toBe(false);
    expect(mayAnyBeWorth(taskOf(MB).plain, {})).toBe(true);
    expect(mayAnyBeWorth(taskOf(MB).plain, { network: 100 * MB, request: 0.2 })).toBe(false);
  });
});

describe("a pull by nothing but deltas", () => {
  it("names the layers that have none", async () => {
    const tasks = [1, 2, 3].map((size) => taskOf(size).task);
    const deltas = {
      of: async ({ blob }: { blob: { size: number } }) => (blob.size === 2 ? [deltaOf(1)] : []),
    } as unknown as LayerDeltas;
    await demandDeltas(deltas, [tasks[1]!]);
    const [first, , last] = tasks.map(({ blob }) => blob.digest);
    await expect(demandDeltas(deltas, tasks)).rejects.toMatchObject({
      code: "DELTA_NOT_FOUND",
      message: `2 layers have no delta from what is here: ${first}, ${last}`,
      detail: { layers: [first, last] },
    });
  });
});
