/** A delta that was just made as a place that images come from: its blobs wait in files without a name, and are gone with it. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { UnnamedFile } from "../commit/unnamed-file.ts";
import type { ImageSource } from "../transports/types.ts";

export class DeltaSource implements ImageSource {
  readonly #manifest: Manifest;
  readonly #blobs = new Map<Digest, UnnamedFile | Uint8Array>();

  /** @param blobs what the manifest names, by digest; they stay the caller's */
  constructor(manifest: Manifest, blobs: ReadonlyMap<Digest, UnnamedFile | Uint8Array>) {
    this.#manifest = manifest;
    this.#blobs = new Map(blobs);
  }

  root(): Promise<Manifest> {
    return Promise.resolve(this.#manifest);
  }

  document({ digest }: Descriptor): Promise<Manifest> {
    if (digest === this.#manifest.digest) return this.root();
    throw new VarveError("INTERNAL", `a delta has no document ${digest}`);
  }

  blob(descriptor: Descriptor): AsyncIterable<Uint8Array> {
    return this.blobFrom(descriptor, 0);
  }

  async *blobFrom({ digest }: Descriptor, start: number): AsyncGenerator<Uint8Array> {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) throw new VarveError("INTERNAL", `a delta has no blob ${digest}`);
    // What is passed on belongs to who takes it.
    if (blob instanceof Uint8Array) yield Buffer.from(blob.subarray(start));
    else yield* blob.read(start);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
