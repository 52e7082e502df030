/** An example of what a schema takes, of its own examples: all that is needed, and nothing that may be left out. */
import type { TSchema } from "typebox";
import type { Json } from "./openapi.ts";

interface AnySchema {
  readonly examples?: readonly Json[];
  readonly const?: Json;
  readonly enum?: readonly Json[];
  readonly default?: Json;
  readonly type?: string;
  readonly minimum?: number;
  readonly anyOf?: readonly TSchema[];
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly required?: readonly string[];
}

export function exampleOf(schema: TSchema): Json {
  const {
    examples,
    enum: words,
    default: usual,
    type,
    minimum = 0,
    anyOf,
    properties = {},
    required = [],
    ...rest
  } = schema as AnySchema;
  const known = [...(examples ?? []), ...(rest.const === undefined ? [] : [rest.const]), ...(words ?? [])];
  const [first = usual] = known;
  if (first !== undefined) return first;
  if (anyOf?.[0] !== undefined) return exampleOf(anyOf[0]);
  switch (type) {
    case "object":
      return Object.fromEntries(required.map((name) => [name, exampleOf(properties[name]!)]));
    case "array":
      return [];
    case "boolean":
      return false;
    case "integer":
    case "number":
      return minimum;
    case "string":
      return "text";
    case undefined:
    default:
      return null;
  }
}
