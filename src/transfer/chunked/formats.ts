/** Which format of chunked layers a layer has, by what its manifest says, and what that format does. */
import type { Descriptor } from "../../oci/descriptor.ts";
import { howOf, readTocAnnotations, type TocAnnotations } from "../toc-annotations.ts";
import type { ChunkedFormat } from "./format.ts";

/** An eStargz layer says only in its last bytes where its table is; with those it is asked for first. */
const LEAST_TOC_BYTES = 1024;

/** @returns undefined for a layer that is not chunked @throws TOC_INVALID when its manifest contradicts itself */
export function formatOf(blob: Descriptor): ChunkedFormat | undefined {
  const annotations = readTocAnnotations(blob);
  if (annotations === undefined) return undefined;
  return {
    how: howOf(annotations),
    tocBytes: tocBytes(annotations),
    async open(task, options) {
      const { fetchToc } = await import("../fetch-toc.ts");
      const toc = await fetchToc(task, annotations, options);
      return {
        pieces: toc.pieces,
        placed: toc.pieces,
        plan: (held, { rates, mustSave }) => toc.plan(held, rates, mustSave),
      };
    },
  };
}

function tocBytes(annotations: TocAnnotations): number {
  switch (annotations.dialect) {
    case "podman":
      return annotations.toc.compressed + (annotations.tarSplit?.compressed ?? 0);
    case "nerdctl":
      return annotations.toc.compressed;
    case "estargz":
      return LEAST_TOC_BYTES;
  }
}
