/**
 * What the schemas are made of. A schema with a `title` is a component of the OpenAPI document and stands there once. Nothing here or in the
 * other schemas needs Node: the page and the client take their types from them.
 */
import { Type, type TObject, type TProperties, type TSchema } from "typebox";
import { ERROR_TABLE, type ErrorCode } from "../../../errors/table.ts";

/** An object of these members and no others. */
export function object<Properties extends TProperties>(
  properties: Properties,
  options: { readonly title?: string; readonly description?: string } = {},
): TObject<Properties> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

export function nullable<Schema extends TSchema>(schema: Schema, options: { readonly description?: string } = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** One of a few words. */
export function words<const Words extends readonly string[]>(list: Words, options: object = {}) {
  return Type.Unsafe<Words[number]>({ type: "string", enum: [...list], ...options });
}

/** Text that a request may hold. JSON counts characters, so that its bytes are at most three times as many. */
export function text(maxLength: number, options: object = {}) {
  return Type.String({ minLength: 1, maxLength, ...options });
}

/** What is counted: whole, and so small that JSON keeps it. */
export function count(description?: string) {
  return Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...(description && { description }) });
}

const DIGEST = "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$";
const EXAMPLE_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

export function digest(description?: string) {
  return Type.String({ pattern: DIGEST, examples: [EXAMPLE_DIGEST], ...(description && { description }) });
}

export function time(description = "ISO 8601, in UTC.") {
  return Type.String({ description, examples: ["2026-01-31T12:00:00.000Z"] });
}

/** The longest that any name may be; parsers hold it to the grammar. */
export const MOST_NAME = 1024;

/** A name of an image as `parseReference` takes it. */
export function reference(description: string) {
  return text(MOST_NAME, { description, examples: ["docker.io/library/debian:12"] });
}

/** What may mean an image of the store. */
export function imageWord(description = "An image of the store: a name, a digest, or six hex digits of one and more.") {
  return text(MOST_NAME, { description, examples: ["docker.io/library/debian:12"] });
}

export function platform(description = "OS/ARCH[/VARIANT]. Default: the daemon's machine.") {
  return text(128, { description, examples: ["linux/arm64"] });
}

export function snapshotKey(description: string) {
  return text(MOST_NAME, { description, examples: ["work"] });
}

/** Of answers that come in parts: what the request has to have as `after` to go on; null at the end. */
export const next = nullable(Type.String(), { description: "`after` of the request that goes on; null at the end." });

export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: "At most so many. Default 100." }),
  ),
  after: Type.Optional(text(MOST_NAME * 2, { description: "What `next` was in the answer before." })),
};

export const driver = words(["erofs", "overlay", "copy"]);
export const byteCounts = object(
  {
    network: count("Received from registries."),
    local: count("Taken from what the machine holds."),
    data: count("Literal bytes of recipes."),
    zero: count("Zeros that nobody had to send or store."),
  },
  { title: "ByteCounts" },
);
export const counted = object({ count: count(), bytes: count() }, { title: "Counted" });

export const errorCode = Type.Unsafe<ErrorCode>({ type: "string", enum: Object.keys(ERROR_TABLE) });

export const errorFacts = object(
  {
    code: errorCode,
    message: Type.String({ description: "What happened, and to what." }),
    hint: Type.String({ description: "What to do about it." }),
  },
  { title: "ErrorFacts" },
);

/** The body of every answer that is an error. */
export const errorBody = object({ error: errorFacts }, { title: "Error" });
