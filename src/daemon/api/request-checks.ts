/** Holds requests to the schemas of their route, strictly: nothing is left out, added or made into something else. */
import { Compile, type Validator } from "typebox/compile";
import type { TObject, TSchema } from "typebox";
import { VarveError } from "../../errors/varve-error.ts";
import { object } from "./schemas/common.ts";
import type { RouteSpec } from "./schemas/routes.ts";

export interface Checked {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

/** What a request holds, before anything is known of it. */
export interface Unchecked {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

const NOTHING = object({});

/** @returns what checks requests to the route @throws VarveError `REQUEST_INVALID`, which says what is wrong where */
export function requestCheck(spec: RouteSpec): (request: Unchecked) => Checked {
  const [params, query, body] = [spec.params, spec.query, spec.body].map((schema = NOTHING) => Compile(schema)) as [
    Validator,
    Validator,
    Validator,
  ];
  const mayBeLeftOut = spec.body === undefined || spec.bodyOptional === true;
  return (request) => ({
    params: checked(params, request.params ?? {}, "path"),
    query: checked(query, fromText(spec.query ?? NOTHING, request.query), "query"),
    body: checked(body, request.body === undefined && mayBeLeftOut ? {} : request.body, "body"),
  });
}

function checked(validator: Validator, value: unknown, where: string): unknown {
  if (value === undefined) throw new VarveError("REQUEST_INVALID", "the request has no body", { hint: "send JSON" });
  if (validator.Check(value)) return value;
  const [first] = validator.Errors(value);
  const place = `${where}${first?.instancePath ?? ""}`.replaceAll("/", ".").slice(0, 160);
  throw new VarveError("REQUEST_INVALID", `${place} ${first?.message ?? "is not as it should be"}`);
}

/** Numbers and flags of a query are text on the way. What is none stays text, and is then refused. */
function fromText(schema: TObject, query: unknown): unknown {
  if (typeof query !== "object" || query === null) return {};
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => {
      const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
      return [name, property === undefined ? value : valueOf(property, value)];
    }),
  );
}

function valueOf(schema: TSchema, value: unknown): unknown {
  const { type } = schema as { readonly type?: string };
  if (type === "integer" && typeof value === "string" && /^\d{1,16}$/.test(value)) return Number(value);
  if (type === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}
