/** What `convert` made, for people. */
import type { ConvertedLayer, ConvertResult } from "../../transfer/convert.ts";
import type { View } from "../command.ts";
import { renderCopy } from "./copy.ts";
import { formatTable } from "./table.ts";
import { formatBytes, shortDigest } from "./units.ts";

/** With `quiet` only the digest. */
export function renderConvert(result: ConvertResult, view: View): string {
  const summary = renderCopy(result, view, "converted");
  if (view.quiet || result.layers.length === 0) return summary;
  return `${summary}\n${formatTable(
    [
      { title: "LAYER", value: ({ to }) => shortDigest(to) },
      { title: "BEFORE", value: ({ sizeBefore }) => formatBytes(sizeBefore), align: "right" },
      { title: "AFTER", value: ({ size }) => formatBytes(size), align: "right" },
      { title: "HOW", value: (layer) => howOf(layer, result.compression) },
    ],
    result.layers,
  )}`;
}

function howOf({ how, refused }: ConvertedLayer, compression: string): string {
  if (how === "kept") return "kept as it was";
  return refused === null ? compression : `zstd, for ${refused}`;
}
