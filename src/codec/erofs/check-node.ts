/** What an inode may say, held against the fields that it goes into, before anything is written. */
import { BLOCK, MAX_FILE_BYTES, NO_BLOCK, chunkBits, chunkCount, roundUp } from "./format.ts";
import { badTree, unfit } from "./fault.ts";
import type { IndexDevice, IndexNode } from "./tree.ts";

/** Linux' `dev_t`: 12 bits and 20 bits. */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xfffff;
const MAX_ID = 0xffff_ffff;

/** @throws INDEX_INVALID for what no inode can be; LAYER_LIMIT for what this format has no room for */
export function checkNode(node: IndexNode, devices: readonly IndexDevice[]): void {
  const { mode, uid, gid, modifiedAt } = node;
  if (!isCount(mode, 0o7777)) throw badTree(`a mode is ${mode}`);
  if (!isCount(uid, MAX_ID) || !isCount(gid, MAX_ID)) throw badTree(`an owner is ${uid}:${gid}`);
  if (!Number.isSafeInteger(modifiedAt.seconds) || !isCount(modifiedAt.nanoseconds, 999_999_999)) {
    throw badTree(`a time is ${modifiedAt.seconds} s and ${modifiedAt.nanoseconds} ns`);
  }
  if (node.type === "file") checkFile(node, devices);
  if (node.type === "char" || node.type === "block") checkDevice(node);
}

function isCount(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function checkFile({ size, place }: IndexNode, devices: readonly IndexDevice[]): void {
  if (!isCount(size, Number.MAX_SAFE_INTEGER)) throw badTree(`a file has ${size} bytes`);
  if (size > MAX_FILE_BYTES) throw unfit(`a file has ${size} bytes, and ${MAX_FILE_BYTES} are the most`);
  if (place === undefined || size === 0) return;
  const device = devices[place.device];
  if (device === undefined) throw badTree(`a file lies on device ${place.device} of ${devices.length}`);
  if (!isCount(place.offset, Number.MAX_SAFE_INTEGER) || place.offset % BLOCK !== 0) {
    throw badTree(`a file begins at byte ${place.offset} of its device`);
  }
  // The kernel reads whole blocks, also of a file's end.
  if (place.offset + roundUp(size, BLOCK) > roundUp(device.size, BLOCK)) {
    throw badTree(`a file ends at byte ${place.offset + size} of a device of ${device.size} bytes`);
  }
  const lastChunk = (chunkCount(size) - 1) * BLOCK * 2 ** chunkBits(size);
  if ((place.offset + lastChunk) / BLOCK >= NO_BLOCK) throw unfit(`a file lies beyond the first 2 TiB of its layer`);
}

function checkDevice({ deviceMajor, deviceMinor }: IndexNode): void {
  if (isCount(deviceMajor, MAX_MAJOR) && isCount(deviceMinor, MAX_MINOR)) return;
  throw unfit(`a device has the number ${deviceMajor}:${deviceMinor}`);
}
