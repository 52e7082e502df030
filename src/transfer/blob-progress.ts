/**
 * How far the blobs of a copy have come. What goes to a registry is where its upload says, because what was read for it need not have left
 * this machine; what goes to a place on this machine is as far as it was read.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { ProgressMeter } from "../recipe/progress-meter.ts";
import type { ProgressSink } from "../recipe/progress.ts";
import type { TransportEvent } from "../registry/blob-source.ts";

interface Moving {
  readonly meter: ProgressMeter;
  /** The upload tells where it is. */
  isUpload: boolean;
}

export class BlobProgress {
  readonly #emit: ProgressSink;
  readonly #moving = new Map<Digest, Moving>();

  constructor(emit: ProgressSink) {
    this.#emit = emit;
  }

  begin({ digest, size: total }: Descriptor): void {
    this.#emit({ type: "layer-start", digest, total, resumed: 0 });
    this.#moving.set(digest, { meter: new ProgressMeter({ digest, total, emit: this.#emit }), isUpload: false });
  }

  /** The blob was read up to this byte, or is read from it on. */
  wasRead(digest: Digest, position: number): void {
    const moving = this.#moving.get(digest);
    if (moving !== undefined && !moving.isUpload) moving.meter.moveTo(position);
  }

  /** What registries were asked and sent for one blob, or sent of it. */
  onEvent(event: TransportEvent, digest: Digest): void {
    const moving = this.#moving.get(digest);
    if (moving === undefined) return;
    if (event.type === "received") moving.meter.count("network", event.bytes);
    else if (event.type === "sent") moving.meter.countSent(event.bytes);
    else if (event.type === "position") {
      moving.isUpload = true;
      moving.meter.moveTo(event.position);
    }
  }

  end({ digest, size: total }: Descriptor): void {
    const moving = this.#moving.get(digest);
    this.#moving.delete(digest);
    moving?.meter.moveTo(total);
    moving?.meter.finish();
    this.#emit({ type: "layer-done", digest, total });
  }

  /** A failure, or a copy that was stopped. */
  leave({ digest }: Descriptor): void {
    this.#moving.delete(digest);
  }
}
