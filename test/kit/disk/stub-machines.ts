/** Machines of other makers than Tart, and Tart's stacks of disks, as far as their manifests go: the chunks' blobs hold nothing to be decoded. */
import {
  LUME_ANNOTATIONS,
  LUME_TYPES,
  TART_ANNOTATIONS,
  TART_TYPES,
  VETU_ANNOTATIONS,
  VETU_TYPES,
} from "../../../src/codec/tart/names.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestHex, digestOf, type Digest } from "../../../src/oci/digest.ts";
import { parseManifest, type Manifest } from "../../../src/oci/manifest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";

export interface MadeMachine {
  readonly manifest: Manifest;
  readonly blobs: ReadonlyMap<Digest, Buffer>;
  /** By their names. */
  readonly disks: ReadonlyMap<string, Buffer>;
}

type Annotations = Readonly<Record<string, string>>;

class MachineBuilder {
  readonly blobs = new Map<Digest, Buffer>();
  readonly disks = new Map<string, Buffer>();

  blob(mediaType: string, bytes: Buffer, annotations: Annotations = {}): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length, annotations };
  }

  /** A disk in one chunk. */
  chunk(mediaType: string, disk: Buffer, annotations: (digest: Digest) => Annotations): Descriptor {
    return this.blob(mediaType, Buffer.concat([Buffer.from("packed "), disk]), annotations(digestOf(disk)));
  }

  machine(config: Descriptor, layers: readonly Descriptor[]): MadeMachine {
    const document = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers };
    const manifest = parseManifest(Buffer.from(JSON.stringify(document))) as Manifest;
    return { manifest, blobs: this.blobs, disks: this.disks };
  }
}

const stub = Buffer.from('{"architecture":"arm64","os":"linux"}');

export function vetuMachine(disks: Readonly<Record<string, Buffer>>): MadeMachine {
  const builder = new MachineBuilder();
  const chunks = Object.entries(disks).map(([name, disk]) => {
    builder.disks.set(name, disk);
    return builder.chunk(VETU_TYPES.disk, disk, (digest) => ({
      [VETU_ANNOTATIONS.name]: name,
      [VETU_ANNOTATIONS.size]: String(disk.length),
      [VETU_ANNOTATIONS.digest]: digest,
    }));
  });
  const config = { version: 1, arch: "arm64", cmdline: "console=ttyS0", cpuCount: 2, memorySize: 1 << 30 };
  const own = Buffer.from(JSON.stringify({ ...config, disks: Object.keys(disks).map((name) => ({ name })) }));
  return builder.machine(builder.blob(MEDIA_TYPES.ociConfig, stub), [
    builder.blob(VETU_TYPES.config, own),
    builder.blob(VETU_TYPES.kernel, Buffer.from("the kernel")),
    builder.blob(VETU_TYPES.initramfs, Buffer.from("the initramfs")),
    ...chunks,
  ]);
}

export function lumeMachine(disk: Buffer): MadeMachine {
  const builder = new MachineBuilder();
  builder.disks.set("disk.img", disk);
  const config = builder.blob(LUME_TYPES.config, Buffer.from('{"os":"linux","cpuCount":3,"memorySize":2147483648}'));
  return builder.machine(config, [
    builder.blob(LUME_TYPES.nvram, Buffer.from("the nvram")),
    builder.chunk(LUME_TYPES.disk, disk, (digest) => ({
      [LUME_ANNOTATIONS.size]: String(disk.length),
      [LUME_ANNOTATIONS.digest]: digest,
    })),
  ]);
}

/** The first is the base. */
export function stackedMachine(vmConfig: Buffer, disks: readonly Buffer[]): MadeMachine {
  const builder = new MachineBuilder();
  const chunks = disks.map((disk, at) => {
    builder.disks.set(digestHex(digestOf(disk)), disk);
    return builder.chunk(at === 0 ? TART_TYPES.disk : TART_TYPES.overlay, disk, (digest) => ({
      [TART_ANNOTATIONS.size]: String(disk.length),
      [TART_ANNOTATIONS.digest]: digest,
      [TART_ANNOTATIONS.fileDigest]: digest,
      ...(at > 0 && { [TART_ANNOTATIONS.fileChunks]: "1" }),
    }));
  });
  return builder.machine(builder.blob(MEDIA_TYPES.ociConfig, stub), [
    builder.blob(TART_TYPES.config, vmConfig),
    ...chunks,
    builder.blob(TART_TYPES.nvram, Buffer.from("nvram")),
  ]);
}
