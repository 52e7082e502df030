/** What deltas shall cost at most, and whether they do. */
import { BALENA, BSDIFF_FILES, LIBRSYNC, TAR_DIFFS } from "./contenders.ts";
import { cpu, type Figures, type PairFigures } from "./files-part.ts";

export interface Target {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly unit: string;
  /** Whether more is better. */
  readonly isLeast?: boolean;
}

export function printTargets(results: readonly PairFigures[], more: readonly Target[] = []): void {
  const targets = [...results.flatMap(filesTargets), ...more].filter(({ value }) => !Number.isNaN(value));
  if (targets.length === 0) return;
  console.log("\ntargets");
  for (const { what, value, limit, unit, isLeast = false } of targets) {
    const met = isLeast ? value >= limit : value <= limit;
    const bound = `${isLeast ? "at least" : "at most"} ${limit}${unit}`;
    const shown = value >= 100 ? value.toFixed(0) : value.toFixed(3);
    console.log(`${met ? "met   " : "MISSED"}  ${what}: ${shown}${unit}, ${bound}`);
  }
}

function filesTargets({ pair, bytes, unchanged, figures }: PairFigures): Target[] {
  const of = (name: string, pick: (figures: Figures) => number): number => {
    const found = figures.get(name);
    return found === undefined ? Number.NaN : pick(found);
  };
  const size = (name: string): number => of(name, (one) => one.size);
  const perSecond = (name: string, what: "create" | "apply"): number => {
    return of(name, (one) => bytes / 1e6 / cpu(one[what]));
  };
  const [rss, rate] = [" MiB", " MB/s of CPU"];
  const targets: Target[] = [
    { what: `${pair}: librsync of what has not changed`, value: unchanged, limit: 1024, unit: " bytes" },
    { what: `${pair}: librsync, of rdiff's with 512`, value: size(LIBRSYNC) / size(BALENA), limit: 0.6, unit: "" },
    {
      what: `${pair}: tar-diff, of bsdiff's per file`,
      value: size(TAR_DIFFS) / size(BSDIFF_FILES),
      limit: 1.15,
      unit: "",
    },
    {
      what: `${pair}: tar-diff created, of bsdiff's CPU`,
      value: of(TAR_DIFFS, (one) => cpu(one.create)) / of(BSDIFF_FILES, (one) => cpu(one.create)),
      limit: 0.25,
      unit: "",
    },
    { what: `${pair}: librsync created`, value: perSecond(LIBRSYNC, "create"), limit: 60, unit: rate, isLeast: true },
  ];
  for (const name of [LIBRSYNC, TAR_DIFFS]) {
    targets.push(
      { what: `${pair}: ${name} applied`, value: perSecond(name, "apply"), limit: 300, unit: rate, isLeast: true },
      { what: `${pair}: ${name} created in`, value: of(name, (one) => one.create.rss), limit: 500, unit: rss },
      { what: `${pair}: ${name} applied in`, value: of(name, (one) => one.apply.rss), limit: 200, unit: rss },
    );
  }
  return targets;
}
