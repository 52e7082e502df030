/** Figures as the page writes them. Sizes are decimal, as `varve` prints them. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** `12.3 MB`, with three significant digits at most. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const text = unit === 0 || value >= 99.95 ? String(Math.round(value)) : value.toFixed(value >= 9.995 ? 1 : 2);
  return `${text.includes(".") ? text.replace(/\.?0+$/, "") : text} ${UNITS[unit]}`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Of a part, `0 %` only of nothing and `100 %` only of all. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return "0 %";
  const percent = (100 * part) / whole;
  if (percent < 1) return "<1 %";
  return `${part < whole ? Math.min(99, Math.round(percent)) : Math.round(percent)} %`;
}

/** `sha256:0123456789ab…` is told as its first twelve digits. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, 12);
}

/** `1 layer`, `2 layers`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

const STEPS: readonly [seconds: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** `just now`, `3 minutes ago`. */
export function formatAgo(iso: string, now: number): string {
  const seconds = Math.round((Date.parse(iso) - now) / 1000);
  if (!Number.isFinite(seconds)) return iso;
  const step = STEPS.find(([length]) => Math.abs(seconds) >= length);
  return step === undefined ? "just now" : relative.format(Math.round(seconds / step[0]), step[1]);
}

/** The name as people say it: what is after the last slash, and what is before it. */
export function splitName(name: string): { readonly folder: string; readonly last: string; readonly tag: string } {
  const at = name.lastIndexOf("/") + 1;
  const rest = name.slice(at);
  const cut = rest.search(/[:@]/);
  return {
    folder: name.slice(0, at),
    last: cut < 0 ? rest : rest.slice(0, cut),
    tag: cut < 0 ? "" : rest.slice(cut).replace(/^(@\w+:[0-9a-f]{12})[0-9a-f]+$/, "$1…"),
  };
}
