/** The times a member gets: containerd's bounds, with which every engine's trees agree. */
import type { TarEntry } from "../codec/tar/entry.ts";
import type { FileTime } from "../sys/at.ts";

export const EPOCH: FileTime = { seconds: 0, nanoseconds: 0 };
/** The last second that a signed 64-bit count of nanoseconds holds: in April 2262. */
const LAST_SECOND = 9_223_372_035;

/** A time before 1970 or after 2262 becomes 1970. */
export function boundTime(time: FileTime): FileTime {
  return time.seconds < 0 || time.seconds > LAST_SECOND ? EPOCH : time;
}

/** The later of the two access and modification times is the access time. */
export function timesOf(entry: TarEntry): { accessedAt: FileTime; modifiedAt: FileTime } {
  const modifiedAt = boundTime(entry.modifiedAt);
  const accessedAt = entry.accessedAt === undefined ? modifiedAt : boundTime(entry.accessedAt);
  const later =
    accessedAt.seconds > modifiedAt.seconds ||
    (accessedAt.seconds === modifiedAt.seconds && accessedAt.nanoseconds > modifiedAt.nanoseconds);
  return { accessedAt: later ? accessedAt : modifiedAt, modifiedAt };
}
