/** Amounts as the Go libraries of Docker's engines write them, for people who compare and scripts that read. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** go-units `HumanSize`: four digits, no blank: `1.311MB`. */
export function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`;
}

/** Go's `time.Duration`, to the microsecond: `850µs`, `12.5ms`, `1m2.345s`. */
export function goDuration(milliseconds: number): string {
  const micros = Math.max(0, Math.round(milliseconds * 1000));
  if (micros < 1000) return micros === 0 ? "0s" : `${micros}µs`;
  if (micros < 1_000_000) return `${micros / 1000}ms`;
  const minutes = Math.floor(micros / 60_000_000);
  const hours = Math.floor(minutes / 60);
  const seconds = `${(micros % 60_000_000) / 1_000_000}s`;
  if (minutes === 0) return seconds;
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}

const BAR = 50;

/** Docker's bar beside a `progressDetail`, as on a wide terminal. */
export function progressBar(current: number, total: number): string {
  if (current <= 0 && total <= 0) return "";
  const amount = humanSize(current).padStart(8);
  if (total <= 0) return amount;
  const filled = Math.min(BAR, Math.floor((Math.min(current, total) / total) * BAR));
  const rest = filled < BAR ? `>${" ".repeat(BAR - filled)}` : ">";
  return `[${"=".repeat(filled)}${rest}] ${amount}/${humanSize(total)}`;
}
