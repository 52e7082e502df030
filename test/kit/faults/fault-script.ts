/**
 * When faults strike: rules over method, path and count, or by chance. Chance depends only on the seed and on which
 * request it is (method, path, range, and how often that came), not on the order in which concurrent requests happen
 * to arrive, so that the same seed gives the same faults again.
 */
import { createHash } from "node:crypto";
import type { Fault } from "./fault.ts";

export interface FaultRule {
  /** Default: every method. */
  readonly method?: string | readonly string[];
  /** Tested on the path without its query. Default: every path. */
  readonly path?: RegExp;
  /** Only requests that ask for a Range (true), or that do not (false). */
  readonly ranged?: boolean;
  /** Of the requests that match, which: the nth (from 1), several, or a span. Default: each. */
  readonly nth?: number | readonly number[] | { readonly from?: number; readonly to?: number; readonly every?: number };
  /** Whether `nth` counts all that match together (`rule`, default) or each method and path for itself. */
  readonly per?: "rule" | "path";
  /** 0 ... 1. Default 1. */
  readonly probability?: number;
  /** The faults of all rules that strike are combined; of those that answer by themselves the first one wins. */
  readonly fault: Fault | readonly Fault[];
}

export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
}

export interface Strike {
  /** Position of the rule in the script. */
  readonly rule: number;
  readonly fault: Fault;
}

export class FaultScript {
  readonly #rules: readonly FaultRule[];
  readonly #seed: number;
  readonly #counts = new Map<string, number>();

  constructor(rules: readonly FaultRule[], seed: number) {
    this.#rules = rules;
    this.#seed = seed;
  }

  /** Which faults hit this request. Every call counts as one more request. */
  strikes(request: ScriptedRequest): Strike[] {
    const identity = [request.method, stablePath(request.path), request.range ?? ""].join(" ");
    const occurrence = this.#count(`request ${identity}`);
    return this.#rules.flatMap((rule, index) => {
      if (!matches(rule, request)) return [];
      const scope = rule.per === "path" ? `${request.method} ${stablePath(request.path)}` : "";
      if (!isNth(rule.nth, this.#count(`rule ${index} ${scope}`))) return [];
      const draw = chance(`${this.#seed} ${index} ${identity} ${occurrence}`);
      if (draw >= (rule.probability ?? 1)) return [];
      return toArray(rule.fault).map((fault) => ({ rule: index, fault }));
    });
  }

  /** The script in full, for the report of a failed test: enough to do it again. */
  toString(): string {
    const rules = this.#rules.map((rule) =>
      JSON.stringify({ ...rule, ...(rule.path && { path: String(rule.path) }) }, (_, value: unknown) => value),
    );
    return `faults with seed ${this.#seed}:\n${rules.map((rule, index) => `  ${index}: ${rule}`).join("\n")}`;
  }

  #count(key: string): number {
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count;
  }
}

function matches(rule: FaultRule, request: ScriptedRequest): boolean {
  if (rule.method !== undefined && !toArray(rule.method).includes(request.method)) return false;
  if (rule.ranged !== undefined && rule.ranged !== (request.range !== undefined)) return false;
  // A regex with the flag g or y would remember where the last test ended.
  return rule.path === undefined || request.path.search(rule.path) >= 0;
}

function isNth(nth: FaultRule["nth"], count: number): boolean {
  if (nth === undefined) return true;
  if (typeof nth === "number") return nth === count;
  if (isList(nth)) return nth.includes(count);
  const { from = 1, to = Infinity, every = 1 } = nth;
  return count >= from && count <= to && (count - from) % every === 0;
}

/** Upload sessions have random names. */
function stablePath(path: string): string {
  return path.replace(/\/uploads\/[^/]+$/, "/uploads/*");
}

/** 0 ... 1, the same for the same text. */
function chance(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

function isList<T>(value: T | readonly T[] | object): value is readonly T[] {
  return Array.isArray(value);
}

function toArray<T>(value: T | readonly T[]): readonly T[] {
  return isList(value) ? value : [value];
}
