/** Says of a virtual machine's image, to whoever wants a container's, what it is and what can be done with it. */
import { formatOf } from "../../codec/tart/format-of.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Manifest } from "../../oci/manifest.ts";

/** @param name as it was asked for @throws VarveError `MEDIA_TYPE_UNSUPPORTED` when it is a machine's */
export function refuseMachine(manifest: Manifest, name: string): void {
  const format = formatOf(manifest);
  if (format === undefined) return;
  const isElsewhere = /^(docker:\/\/|oci:|oci-archive:|docker-archive:)/.test(name);
  throw new VarveError("MEDIA_TYPE_UNSUPPORTED", `${name} is a virtual machine (${format}), not a container image`, {
    hint: `varve disk export ${isElsewhere ? "IMAGE" : name} DIR writes its disks and the rest of it`,
  });
}
