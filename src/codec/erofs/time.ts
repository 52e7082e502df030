/** Times as the format has them: signed 64-bit seconds since 1970, then 32 bits of nanoseconds. */
import type { TarTime } from "../tar/entry.ts";
import { damaged } from "./fault.ts";

export function writeTime(view: DataView, at: number, { seconds, nanoseconds }: TarTime): void {
  const high = Math.floor(seconds / 2 ** 32);
  view.setUint32(at, seconds - high * 2 ** 32, true);
  view.setInt32(at + 4, high, true);
  view.setUint32(at + 8, nanoseconds, true);
}

/**
 * @param position where the time is in the index, for the message
 * @throws INDEX_INVALID when it is none that a number can tell
 */
export function readTime(view: DataView, at: number, position: number): TarTime {
  const seconds = view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  const nanoseconds = view.getUint32(at + 8, true);
  if (!Number.isSafeInteger(seconds) || nanoseconds > 999_999_999) throw damaged("a time is none", position);
  return { seconds, nanoseconds };
}
