/** Which kind of table of contents a layer has, if any, by what its manifest says. */
import { parseEstargzAnnotations, type EstargzAnnotations } from "../codec/estargz/annotations.ts";
import { parseZstdChunkedAnnotations, type ZstdChunkedAnnotations } from "../codec/zstd-chunked/annotations.ts";
import type { Descriptor } from "../oci/descriptor.ts";

export type TocAnnotations = ZstdChunkedAnnotations | EstargzAnnotations;

/** Of a layer in both formats' words, zstd:chunked is meant: nerdctl's dialect has the annotation of eStargz as well. @throws TOC_INVALID */
export function readTocAnnotations({ annotations, size }: Descriptor): TocAnnotations | undefined {
  return parseZstdChunkedAnnotations(annotations, size) ?? parseEstargzAnnotations(annotations);
}

/** How a layer that is got by this table is said to be got. */
export function howOf({ dialect }: TocAnnotations): "zstd-chunked" | "estargz" {
  return dialect === "estargz" ? "estargz" : "zstd-chunked";
}
