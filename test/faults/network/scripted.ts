/** Schedules that were thought of: each fault, at each kind of request, once, three times and for ever; and faults of ranges. */
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import type { PublishedImage } from "../lib/published-image.ts";
import { FAULT_KINDS, RANGE_KINDS, type FaultKind } from "./catalogue.ts";
import { blobPath, type Schedule } from "./schedule.ts";

interface Target {
  readonly name: string;
  readonly rule: Pick<FaultRule, "method" | "path" | "per">;
  readonly size: number;
  readonly hasBody: boolean;
  /** Small documents are verified as a whole and asked for anew; layers go on where they stopped. */
  readonly resumes: boolean;
}

interface Occasion {
  readonly name: string;
  readonly nth?: FaultRule["nth"];
  readonly strikes: number;
}

const OCCASIONS: readonly Occasion[] = [
  { name: "once", nth: 1, strikes: 1 },
  { name: "three times", nth: [1, 2, 3], strikes: 3 },
  { name: "each time", strikes: Infinity },
];

export function scriptedSchedules(image: PublishedImage): Schedule[] {
  return targetsOf(image).flatMap((target) =>
    FAULT_KINDS.filter(({ ofBody }) => target.hasBody || !ofBody).flatMap((kind) =>
      OCCASIONS.flatMap((occasion) => schedule(image, target, kind, occasion)),
    ),
  );
}

function targetsOf(image: PublishedImage): Target[] {
  const bySize = image.layers.toSorted((a, b) => b.size - a.size);
  const layer = (name: string, { digest, size } = bySize[0]!): Target => ({
    name,
    rule: { path: blobPath(digest), method: "GET" },
    size,
    hasBody: true,
    resumes: true,
  });
  const document = (name: string, rule: FaultRule["path"], method: string): Target => ({
    name,
    rule: { method, ...(rule && { path: rule }) },
    size: 300,
    hasBody: method === "GET",
    resumes: false,
  });
  return [
    document("the tag's HEAD", /\/manifests\//, "HEAD"),
    document("the manifest", /\/manifests\//, "GET"),
    document("the config", blobPath(image.config), "GET"),
    layer("the largest layer"),
    layer("the smallest layer", bySize.at(-1)),
    { ...layer("every layer", bySize[2]), rule: { path: anyLayer(image), method: "GET", per: "path" } },
  ];
}

function schedule(
  image: PublishedImage,
  target: Target,
  kind: FaultKind,
  { name, nth, strikes }: Occasion,
): Schedule[] {
  // Each stall is waited for, and a document or a tiny layer that is cut at the same byte each time never comes.
  if (kind.name === "stalls" && strikes > 1) return [];
  const survives = target.resumes ? kind.survives : kind.ofDocument;
  return [
    {
      title: `${target.name} ${kind.name}, ${name}`,
      image,
      rules: [{ ...target.rule, ...(nth !== undefined && { nth }), fault: kind.make(target.size, 0.4) }],
      seed: 1,
      concurrency: 4,
      threads: 0,
      mayArrive: strikes <= survives || kind.byLuck === true || target.name === "the tag's HEAD",
      codes: strikes <= survives ? [] : kind.codes,
    },
  ];
}

/** A blob so large that it comes in ranges when it is alone, or that breaks off and has to be gone on with. */
export function rangeSchedules(image: PublishedImage): Schedule[] {
  const { digest, size } = image.layers.toSorted((a, b) => b.size - a.size)[0]!;
  const path = blobPath(digest);
  const broken: FaultRule = { path, nth: 1, fault: { kind: "drop", afterBytes: Math.floor(size / 3) } };
  return RANGE_KINDS.flatMap((kind) =>
    OCCASIONS.flatMap(({ name, nth, strikes }) =>
      [4, 32].map((concurrency) => ({
        title: `a range of the largest layer ${kind.name}, ${name}, over ${concurrency} connections`,
        image,
        rules: [broken, { path, ranged: true, ...(nth !== undefined && { nth }), fault: kind.make(size, 0.5) }],
        seed: 1,
        concurrency,
        threads: 1,
        mayArrive: true,
        codes: strikes <= kind.survives ? [] : kind.codes,
      })),
    ),
  );
}

function anyLayer({ layers }: PublishedImage): RegExp {
  return new RegExp(`/blobs/(${layers.map(({ digest }) => digest).join("|")})$`);
}
