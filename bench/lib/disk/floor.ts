/**
 * What nobody can pull a disk without, in one process: `node floor.ts MANIFEST BLOBS DISK` reads the chunks' blobs as docker-registry keeps them,
 * hashes them, decodes them, hashes that, and writes what is not zeros where it belongs.
 */
import { createHash } from "node:crypto";
import { createReadStream, writeSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeAppleLz4 } from "../../../src/codec/apple-lz4/decoder.ts";
import { readDiskImage } from "../../../src/codec/tart/read-disk-image.ts";
import { zeroContents } from "../../../src/codec/tart/zero-digests.ts";
import { isZero } from "../../../src/codec/zero-runs.ts";
import { digestHex, type Digest } from "../../../src/oci/digest.ts";
import { parseManifest, type Manifest } from "../../../src/oci/manifest.ts";

const WINDOW = 64 << 10;

export const FLOOR = import.meta.filename;

async function main([manifestPath = "", blobs = "", target = ""]: readonly string[]): Promise<void> {
  const [disk] = readDiskImage(parseManifest(await readFile(manifestPath)) as Manifest)?.disks ?? [];
  if (disk?.kind !== "chunks") throw new Error("no disk in chunks");
  await using file = await open(target, "w");
  await file.truncate(disk.chunks.reduce((end, { offset, size }) => Math.max(end, offset + size), 0));
  const zeros = await zeroContents(disk.chunks);
  const made = new Set<Digest>();
  for (const { blob, digest, offset } of disk.chunks) {
    if (digest === undefined || zeros.has(digest) || made.has(digest)) continue;
    made.add(digest);
    const [encoded, decoded] = [createHash("sha256"), createHash("sha256")];
    const source = createReadStream(pathOf(blobs, blob.digest), { highWaterMark: 1 << 20 });
    const hashed = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of source as AsyncIterable<Buffer>) {
        encoded.update(piece);
        yield piece;
      }
    };
    let at = offset;
    for await (const piece of decodeAppleLz4(hashed())) {
      decoded.update(piece);
      for (let start = 0; start < piece.length; start += WINDOW) {
        const end = Math.min(piece.length, start + WINDOW);
        if (!isZero(piece, start, end)) writeSync(file.fd, piece, start, end - start, at + start);
      }
      at += piece.length;
    }
    if (decoded.digest("hex") !== digestHex(digest) || encoded.digest("hex") !== digestHex(blob.digest)) {
      throw new Error(`${blob.digest} is not what it should be`);
    }
  }
  await file.sync();
}

function pathOf(blobs: string, digest: Digest): string {
  const hex = digestHex(digest);
  return join(blobs, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
}

if (process.argv[1] === FLOOR) await main(process.argv.slice(2));
