/** OCI image-spec "Content Descriptors": what a manifest says of a blob before its bytes are here. */
import type { Digest } from "./digest.ts";
import type { Platform } from "./platform.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes; a non-negative safe integer. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  readonly urls?: readonly string[];
  /** The blob itself, base64, checked against digest and size when it was parsed. */
  readonly data?: string;
}
