/** Opens the places that files hold, whichever transport names them. */
import type { FileImageName } from "./name.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { DockerArchiveSink } from "./docker-archive-sink.ts";
import { DockerArchiveSource } from "./docker-archive.ts";
import { OciArchiveSink } from "./oci-archive-sink.ts";
import { OciArchiveSource } from "./oci-archive.ts";
import { OciLayoutSink } from "./oci-layout-sink.ts";
import { OciLayoutSource } from "./oci-layout.ts";
import type { ImageSink, ImageSource } from "./types.ts";

export interface OpenOptions {
  readonly signal?: AbortSignal;
}

/** @throws VarveError `FILE_NOT_FOUND`, `ARCHIVE_INVALID`, `MANIFEST_UNKNOWN`, `REFERENCE_INVALID` (several images, none chosen) */
export function openImageSource(name: FileImageName, options: OpenOptions = {}): Promise<ImageSource> {
  switch (name.transport) {
    case "oci":
      return OciLayoutSource.open(name.path, name);
    case "oci-archive":
      return OciArchiveSource.open(name.path, { ...name, ...options });
    case "docker-archive":
      return DockerArchiveSource.open(name.path, { ...name, ...options });
  }
}

/** @throws VarveError `TARGET_NOT_EMPTY`, `PERMISSION`, `IO`; `REFERENCE_INVALID` for a place in a list, as in `oci:DIR:@1` */
export async function openImageSink(name: FileImageName): Promise<ImageSink> {
  if (name.position !== undefined) {
    throw new VarveError("REFERENCE_INVALID", `an image is written under a tag, not at a place: @${name.position}`, {
      hint: `write it as ${name.transport}:${name.path}:TAG`,
    });
  }
  switch (name.transport) {
    case "oci":
      return OciLayoutSink.open(name.path, name);
    case "oci-archive":
      return OciArchiveSink.open(name.path, name);
    case "docker-archive":
      return DockerArchiveSink.open(name.path, name);
  }
}
