/** What a manifest says of an eStargz layer, in its annotations (formats "estargz" §2). */
import { VarveError } from "../../errors/varve-error.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { ZSTD_CHUNKED_ANNOTATIONS } from "../zstd-chunked/annotations.ts";

export interface EstargzAnnotations {
  readonly dialect: "estargz";
  /** Of the table of contents, decompressed. */
  readonly tocDigest: Digest;
}

/** Undefined when it is no eStargz layer. @throws TOC_INVALID */
export function parseEstargzAnnotations(
  annotations: Readonly<Record<string, string>> = {},
): EstargzAnnotations | undefined {
  const key = ZSTD_CHUNKED_ANNOTATIONS.nerdctl.plainTocDigest;
  if (!Object.hasOwn(annotations, key)) return undefined;
  const tocDigest = annotations[key];
  if (isDigest(tocDigest)) return { dialect: "estargz", tocDigest };
  throw new VarveError("TOC_INVALID", `the manifest has no digest in ${key}`);
}
