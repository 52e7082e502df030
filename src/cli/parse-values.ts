/** Values of flags, checked at the edge: each function turns the text into what the engine takes, or says what is wrong. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { VarveError } from "../errors/varve-error.ts";

/** Whole number in `[least, most]`. @throws VarveError `USAGE` */
export function parseCount(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usage(flag, text, `a whole number from ${least} to ${most}`);
}

/** Seconds, maybe with decimals, to milliseconds. @throws VarveError `USAGE` */
export function parseSeconds(flag: string, text: string): number {
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Math.round(Number(text) * 1000);
  throw usage(flag, text, "seconds, for example 90");
}

const RATE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bytes per second with a suffix `k`, `M` or `G`, of 1024 as in curl and wget. @throws VarveError `USAGE` */
export function parseRate(flag: string, text: string): number {
  const [, number = "", suffix = ""] = /^(\d{1,12}(?:\.\d{1,6})?)([kmg]?)$/i.exec(text) ?? [];
  const rate = Math.floor(Number(number) * (RATE_UNITS[suffix.toLowerCase()] ?? Number.NaN));
  if (rate >= 1 && Number.isSafeInteger(rate)) return rate;
  throw usage(flag, text, "bytes per second, for example 500k, 10M or 1.5G");
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    ["k", "m", "g", "t"].flatMap((unit, index) => [
      [unit, 1024 ** (index + 1)],
      [`${unit}ib`, 1024 ** (index + 1)],
      [`${unit}b`, 1000 ** (index + 1)],
    ]),
  ),
  "": 1,
  b: 1,
};

/** Bytes: `10GB` is decimal as in `varve df`, `10GiB` and `10G` are of 1024. @throws VarveError `USAGE` */
export function parseSize(flag: string, text: string): number {
  const [, number = "", suffix = ""] = /^(\d{1,15}(?:\.\d{1,6})?)([a-z]{0,3})$/i.exec(text) ?? [];
  const size =
    number === "" ? Number.NaN : Math.floor(Number(number) * (SIZE_UNITS[suffix.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(size)) return size;
  throw usage(flag, text, "bytes, for example 500MB, 10GB or 20GiB");
}

const TIME_UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `90s`, `30m`, `12h`, `7d`, `2w`, several together as in `1d12h`, or `0`; to milliseconds. @throws VarveError `USAGE` */
export function parseDuration(flag: string, text: string): number {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,6})?)([smhdw])/gi)];
  const whole = parts.length > 0 && parts.map(([part]) => part).join("") === text;
  const milliseconds = parts.reduce((sum, [, number, unit = ""]) => {
    return sum + Number(number) * (TIME_UNITS[unit.toLowerCase()] ?? Number.NaN);
  }, 0);
  if (whole && Number.isSafeInteger(Math.round(milliseconds))) return Math.round(milliseconds);
  throw usage(flag, text, "a time, for example 90s, 12h, 7d or 2w");
}

/**
 * SOURCE_DATE_EPOCH as builders take it (reproducible-builds.org), when there is one: seconds since 1970, to the year 9999.
 * @throws VarveError `USAGE`
 */
export function parseEpoch(text: string | undefined): { readonly sourceDateEpoch?: number } {
  if (text === undefined || text === "") return {};
  return { sourceDateEpoch: parseCount("SOURCE_DATE_EPOCH", text, 0, 253_402_300_799) };
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** `USER:PASS`; the password may hold colons. The text is a secret, so it is in no message. @throws VarveError `USAGE` */
export function parseCredentials(flag: string, text: string): Credentials {
  const colon = text.indexOf(":");
  if (colon >= 1 && colon < text.length - 1) {
    return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  throw new VarveError("USAGE", `${flag} takes USER:PASS`);
}

/** @throws VarveError `USAGE` */
export function parseChoice<Choice extends string>(flag: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw usage(flag, text, `one of ${choices.join(", ")}`);
}

/** A flag that names a file or directory. @throws VarveError `USAGE` */
export function parsePath(flag: string, text: string): string {
  if (text !== "" && !text.includes("\0")) return text;
  throw new VarveError("USAGE", `${flag} takes a path`);
}

/** The absolute path of a directory that must be there, as a slip would silently mean an empty one. @throws VarveError `USAGE` */
export function parseDirectory(flag: string, text: string): string {
  const path = resolve(parsePath(flag, text));
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return path;
  throw new VarveError("USAGE", `${flag} takes a directory, and ${path} is none`);
}

function usage(flag: string, text: string, wanted: string): VarveError {
  return new VarveError("USAGE", `${flag} takes ${wanted}, not ${JSON.stringify(text.slice(0, 80))}`);
}
