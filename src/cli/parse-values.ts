/** Values of flags, checked at the edge: each function turns the text into what the engine takes, or says what is wrong. */
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

function usage(flag: string, text: string, wanted: string): VarveError {
  return new VarveError("USAGE", `${flag} takes ${wanted}, not ${JSON.stringify(text.slice(0, 80))}`);
}
