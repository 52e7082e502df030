/** Schedules by chance: some rules of some faults, each with its own probability, at its own place of the body. */
import type { ErrorCode } from "../../../src/errors/table.ts";
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import { createRng, type Rng } from "../../kit/images/rng.ts";
import type { PublishedImage } from "../lib/published-image.ts";
import { randomKind, RANGE_KINDS, type FaultKind } from "./catalogue.ts";
import { blobPath, type Schedule } from "./schedule.ts";

/** @param seed of this one schedule: the same one makes the same schedule again */
export function randomSchedule(image: PublishedImage, seed: number): Schedule {
  const rng = createRng(seed);
  const rules: FaultRule[] = [];
  const kinds: FaultKind[] = [];
  const count = rng.between(1, 5);
  for (let number = 0; number < count; number++) {
    const { kind, rule } = randomRule(rng, image);
    rules.push(rule);
    kinds.push(kind);
  }
  const codes = new Set<ErrorCode>(kinds.flatMap((kind) => kind.codes));
  return {
    title: kinds.map(({ name }) => name).join("; "),
    image,
    rules,
    seed,
    concurrency: rng.pick([1, 2, 4, 8, 32]),
    threads: rng.int(4) === 0 ? 1 : 0,
    mayArrive: true,
    codes: [...codes],
  };
}

function randomRule(rng: Rng, image: PublishedImage): { kind: FaultKind; rule: FaultRule } {
  const where = rng.int(6);
  const kind = where === 0 ? rng.pick(RANGE_KINDS) : randomKind(rng);
  const layer = rng.pick(image.layers);
  const ofAll = where === 0 || where > 2;
  const size = ofAll ? Math.max(...image.layers.map(({ size }) => size)) : layer.size;
  // Some part of it, but not nearly none: what is cut at 0.1 % each time needs a thousand requests.
  const fault = kind.make(size, 0.05 + (rng.int(1000) / 1000) * 0.95);
  const probability = rng.pick([0.05, 0.1, 0.2, 0.4, 0.7]);
  const nth = rng.pick<NonNullable<FaultRule["nth"]>>([{}, {}, 1, 2, [1, 2], { from: 2, every: 2 }]);
  const target: Pick<FaultRule, "path" | "method" | "ranged"> =
    where === 0
      ? { path: /\/blobs\//, ranged: true }
      : !ofAll
        ? { path: blobPath(layer.digest), method: "GET" }
        : where <= 4 || kind.ofBody
          ? { path: /\/blobs\//, method: "GET" }
          : {};
  return { kind, rule: { ...target, probability, fault, nth } };
}
