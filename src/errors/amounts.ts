/** Amounts of bytes as people read them, in messages and in tables. Decimal (1 kB = 1000 B), as in docker, podman and skopeo. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** `0 B`, `999 B`, `1.5 kB`, `48.2 MB`: three digits. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  // 999.5 would be rounded to 1000.
  while (value >= (unit === 0 ? 1000 : 999.5) && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}
