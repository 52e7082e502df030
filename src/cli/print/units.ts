/** Numbers as people read them. */
export { formatBytes } from "../../errors/amounts.ts";

/** `45%`, rounded down: only what is whole is 100%. */
export function percent(done: number, total: number): string {
  return `${total > 0 ? Math.floor((100 * Math.min(done, total)) / total) : 0}%`;
}

/** `0.4 s`, `12.3 s`, `4m05s`, `2h03m`, `5d04h`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : formatClock(seconds);
}

/** Time that is left, to the second: `12s`, `4m05s`, `2h03m`. */
export function formatEta(seconds: number): string {
  return seconds < 59.5 ? `${Math.max(0, Math.round(seconds))}s` : formatClock(seconds);
}

function formatClock(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  const days = Math.floor(whole / 86_400);
  return days > 999 ? "long" : `${days}d${two(Math.floor((whole % 86_400) / 3600))}h`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

const AGES = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
] as const;

/** `3 days ago`; `unknown` when the time is missing or senseless. */
export function formatAge(time: string | null, now: number): string {
  const then = time === null ? Number.NaN : Date.parse(time);
  // Reproducible builds date their images at the epoch or at year 1.
  if (Number.isNaN(then) || then <= 0) return "unknown";
  const seconds = (now - then) / 1000;
  for (const [name, length] of AGES) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
}

/** `1 layer`, `2 layers`. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** The first twelve hex digits, as every tool of the field shows a digest. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, 12);
}
