/** The kinds of values that the configuration has: what each may be, in a file, and as text in the environment or on the command line. */
import { isAbsolute } from "node:path";
import type { UpstreamConfig } from "./types.ts";

/** Undefined stands for "not a value of this kind". */
export interface ValueKind<T = unknown> {
  /** Follows "must be". */
  readonly allowed: string;
  /** A value of TOML. */
  read(value: unknown): T | undefined;
  /** Text of the environment, where that is not read as a string of TOML would be. */
  fromText?(text: string): unknown;
}

const MAX_LIST = 1000;

export const path: ValueKind<string> = {
  allowed: "an absolute path",
  read: (value) => (typeof value === "string" && isAbsolute(value) && !value.includes("\0") ? value : undefined),
};

/** `none` takes away what would be the default. */
export function orNone<T>(kind: ValueKind<T>): ValueKind<T | null> {
  return {
    ...kind,
    allowed: `${kind.allowed}, or "none"`,
    read: (value) => (value === "none" ? null : kind.read(value)),
  };
}

export const flag: ValueKind<boolean> = {
  allowed: "true or false",
  read: (value) => (typeof value === "boolean" ? value : undefined),
  fromText: (text) => ({ true: true, "1": true, false: false, "0": false })[text.toLowerCase()] ?? text,
};

export function count(least: number, most: number): ValueKind<number> {
  return {
    allowed: `a whole number from ${least} to ${most}`,
    read: (value) =>
      Number.isInteger(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined,
    fromText: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text),
  };
}

const SIZE_UNITS: Readonly<Record<string, number>> = Object.fromEntries(
  ["k", "m", "g", "t"].flatMap((unit, at) => [
    [unit, 1024 ** (at + 1)],
    [`${unit}ib`, 1024 ** (at + 1)],
    [`${unit}b`, 1000 ** (at + 1)],
  ]),
);
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** As on the command line: `10GB` is decimal, `10GiB` and `10G` are of 1024. */
export function bytes(least = 0): ValueKind<number> {
  return measured(
    `bytes, ${least} or more, as a number or as text like "50GB" or "20GiB"`,
    SIZE_UNITS,
    least,
    Number.MAX_SAFE_INTEGER,
  );
}

/** setTimeout takes no more than 2^31 ms. */
export function milliseconds(least: number): ValueKind<number> {
  return measured(`milliseconds, ${least} or more, or text like "30s" or "5m"`, TIME_UNITS, least, 2 ** 31 - 1);
}

function measured(
  allowed: string,
  units: Readonly<Record<string, number>>,
  least: number,
  most: number,
): ValueKind<number> {
  const fromText = (text: string): number => {
    const [, number = "", unit = ""] = /^(\d{1,15}(?:\.\d{1,6})?)([a-z]{0,3})$/i.exec(text) ?? [];
    return number === ""
      ? Number.NaN
      : Math.floor(Number(number) * (unit === "" ? 1 : (units[unit.toLowerCase()] ?? Number.NaN)));
  };
  return {
    allowed,
    read(value) {
      const amount = typeof value === "string" ? fromText(value) : value;
      return Number.isInteger(amount) && Number(amount) >= least && Number(amount) <= most ? Number(amount) : undefined;
    },
  };
}

export function choice<Choice extends string>(choices: readonly Choice[]): ValueKind<Choice> {
  return {
    allowed: `one of ${choices.join(", ")}`,
    read: (value) => choices.find((candidate) => candidate === value),
  };
}

export const paths: ValueKind<readonly string[]> = {
  allowed: "a list of absolute paths",
  read: (value) => listOf(value, (item) => path.read(item)),
  fromText: (text) => text.split(":").filter((part) => part !== ""),
};

export const address: ValueKind<string> = {
  allowed: "HOST:PORT, as 127.0.0.1:5000, [::1]:5000 or *:5000",
  read: (value) =>
    typeof value === "string" && /^(\[[0-9a-f:.%\w]+\]|[^:[\]/\s]+):\d{1,5}$/i.test(value) ? value : undefined,
};

/** As in image names. */
export const host: ValueKind<string> = {
  allowed: "a registry as image names have it, HOST[:PORT]",
  read: (value) => (typeof value === "string" && isHost(value) ? value : undefined),
};

export const upstreams: ValueKind<readonly UpstreamConfig[]> = {
  allowed:
    'a list of registries as image names have them, of "*" for all, or of tables { host, credentials, passCredentials }',
  read: (value) => listOf(value, readUpstream),
  fromText: (text) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
};

/** Where jobs are kept; an URL may hold a password, so what was given is in no message. */
export const queue: ValueKind<string> = {
  allowed: '"sqlite" or an URL of PostgreSQL, postgres://...',
  read: (value) => (typeof value === "string" && /^(sqlite$|postgres(ql)?:\/\/.)/.test(value) ? value : undefined),
};

function readUpstream(value: unknown): UpstreamConfig | undefined {
  const table = typeof value === "string" ? { host: value } : value;
  if (typeof table !== "object" || table === null || Array.isArray(table)) return undefined;
  const {
    host: name,
    credentials = true,
    passCredentials = false,
    ...others
  } = table as Readonly<Record<string, unknown>>;
  if (Object.keys(others).length > 0 || typeof credentials !== "boolean" || typeof passCredentials !== "boolean")
    return undefined;
  if (typeof name !== "string" || !(name === "*" || isHost(name))) return undefined;
  return { host: name, credentials, passCredentials };
}

function listOf<T>(value: unknown, read: (item: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_LIST) return undefined;
  const items = value.map(read).filter((item) => item !== undefined);
  return items.length === value.length ? items : undefined;
}

function isHost(text: string): boolean {
  const [, name = "", port] = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return name !== "" && !name.includes("..") && (port === undefined || (Number(port) > 0 && Number(port) < 65_536));
}
