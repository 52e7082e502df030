/**
 * What a job is given, checked when it is added and again when it is taken: a shared queue's rows are written by whoever may write to
 * that database. Nothing goes on that is not named here.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { parseReference } from "../../oci/reference.ts";
import { DELTA_FORMATS } from "../../transfer/deltas/create-types.ts";
import type { DeltaInput, FsckInput, GcInput, JobKind, JobKinds, PullInput } from "./types.ts";

const MAX_TEXT = 2048;
const MAX_IMAGES = 1000;
const DELTA_MODES = ["auto", "never", "always"] as const;

export const JOB_KINDS: readonly JobKind[] = ["pull", "delta", "gc", "fsck"];

export function isJobKind(text: unknown): text is JobKind {
  return JOB_KINDS.some((kind) => kind === text);
}

/** @throws VarveError `JOB_INVALID`, `REFERENCE_INVALID`, `PLATFORM_INVALID` */
export function checkJobInput<Kind extends JobKind>(kind: Kind, input: unknown): JobKinds[Kind]["input"] {
  const fields = new Fields(kind, input);
  const checked = CHECKS[kind](fields);
  fields.refuseOthers();
  return checked;
}

/**
 * What a job is given that any worker may take: it has nothing but the registries.
 * @throws VarveError as {@link checkJobInput}, and `JOB_INVALID` without a place to push to
 */
export function checkSharedDelta(input: unknown): DeltaInput & { readonly push: string } {
  const { base, target, push, tag, ...rest } = checkJobInput("delta", input);
  if (push === undefined) throw invalid("delta", "push is needed: the delta of a shared queue goes to a registry");
  if (tag !== undefined) throw invalid("delta", "tag is a name in a store, and a shared queue's worker keeps nothing");
  return { base: inRegistry(base), target: inRegistry(target), push, ...rest };
}

/** As it is pulled. @throws VarveError `REFERENCE_INVALID` */
function inRegistry(text: string): string {
  const bare = text.replace(/^docker:\/\//, "");
  parseReference(bare);
  return bare;
}

const CHECKS: { readonly [Kind in JobKind]: (fields: Fields) => JobKinds[Kind]["input"] } = {
  pull: (fields): PullInput => {
    const reference = fields.text("reference");
    parseReference(reference);
    return {
      reference,
      ...fields.platform(),
      ...given("unpack", fields.flag("unpack")),
      ...given("delta", fields.choice("delta", DELTA_MODES)),
      ...given("discardBlobs", fields.flag("discardBlobs")),
    };
  },
  delta: (fields): DeltaInput => {
    const push = fields.optionalText("push")?.replace(/^docker:\/\//, "");
    if (push !== undefined) parseReference(push);
    return {
      base: fields.text("base"),
      target: fields.text("target"),
      ...given("format", fields.choice("format", DELTA_FORMATS)),
      ...given("tag", fields.optionalText("tag")),
      ...given("push", push),
      ...fields.platform(),
    };
  },
  gc: (fields): GcInput => ({
    ...given("partialsOlderThanMs", fields.count("partialsOlderThanMs")),
    ...given("dryRun", fields.flag("dryRun")),
  }),
  fsck: (fields): FsckInput => ({
    ...given("images", fields.texts("images")),
    ...given("repair", fields.flag("repair")),
  }),
};

function given<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in Name]?: Value });
}

function invalid(kind: JobKind, why: string): VarveError {
  return new VarveError("JOB_INVALID", `a ${kind} job: ${why}`);
}

/** The fields of an input, each taken once; a field that nobody takes is one too many. */
class Fields {
  readonly #kind: JobKind;
  readonly #fields: Map<string, unknown>;

  constructor(kind: JobKind, input: unknown) {
    this.#kind = kind;
    if (typeof input !== "object" || input === null || Array.isArray(input))
      throw invalid(kind, "its input is no object");
    this.#fields = new Map(Object.entries(input));
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.#refuse(`${name} is needed`);
  }

  optionalText(name: string): string | undefined {
    const value = this.#take(name);
    if (value === undefined || isText(value)) return value;
    return this.#refuse(`${name} is no text of 1 to ${MAX_TEXT} characters`);
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.length <= MAX_IMAGES && value.every(isText)) return value;
    return this.#refuse(`${name} is no list of ${MAX_IMAGES} texts at most`);
  }

  flag(name: string): boolean | undefined {
    const value = this.#take(name);
    return value === undefined || typeof value === "boolean"
      ? value
      : this.#refuse(`${name} is neither true nor false`);
  }

  count(name: string): number | undefined {
    const value = this.#take(name);
    if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0)) return value;
    return this.#refuse(`${name} is no whole number`);
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    return choices.find((choice) => choice === value) ?? this.#refuse(`${name} is none of ${choices.join(", ")}`);
  }

  platform(): { readonly platform?: string } {
    const platform = this.optionalText("platform");
    if (platform !== undefined) parsePlatform(platform);
    return given("platform", platform);
  }

  refuseOthers(): void {
    const [other] = this.#fields.keys();
    if (other !== undefined) this.#refuse(`it takes no ${JSON.stringify(other.slice(0, 40))}`);
  }

  #take(name: string): unknown {
    const value = this.#fields.get(name);
    this.#fields.delete(name);
    return value;
  }

  #refuse(why: string): never {
    throw invalid(this.#kind, why);
  }
}

/** Without control characters: it is shown in lists and logs. */
function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_TEXT && !/\p{Cc}/u.test(value);
}
