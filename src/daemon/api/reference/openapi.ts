/** The OpenAPI document (3.1), made of the table of routes and its schemas; what has a title there is a component here. */
import type { TSchema } from "typebox";
import { ERROR_TABLE, type ErrorCode } from "../../../errors/table.ts";
import { BALENA_ROUTES } from "../balena/balena-table.ts";
import { errorBody } from "../schemas/common.ts";
import { placeOf, type OperationId } from "../schemas/operations.ts";
import { BODY_ERRORS, COMMON_ERRORS, ROUTES, type RouteSpec } from "../schemas/routes.ts";
import { exampleOf } from "./example.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

export interface ListedRoute {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly spec: RouteSpec;
}

export function listedRoutes(): readonly ListedRoute[] {
  const own = Object.entries(ROUTES).map(([id, spec]) => {
    const { method, path } = placeOf(id as OperationId);
    return { id, method, path, spec };
  });
  return [...own, ...BALENA_ROUTES];
}

export function openApi(version: string): JsonObject {
  const components: Record<string, Json> = {};
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of listedRoutes()) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route, components);
  }
  return {
    openapi: "3.1.0",
    info: { title: "varve", version, summary: "Moves container images and VM disks, and only what changed." },
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    tags: [...new Set(listedRoutes().map(({ spec }) => spec.tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(components).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: "One of the daemon's tokens. On its Unix socket none is needed.",
        },
      },
    },
  };
}

function operation({ id, spec }: ListedRoute, components: Record<string, Json>): Json {
  const { tag, summary, description, params, query, body, bodyOptional = false } = spec;
  const parameters = [...parametersOf(params, "path", components), ...parametersOf(query, "query", components)];
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: !bodyOptional,
        content: { "application/json": { schema: jsonSchema(body, components), example: exampleOf(body) } },
      },
    }),
    responses: { ...success(spec, components), ...errorsOf(spec, components) },
  };
}

function parametersOf(schema: RouteSpec["params"], where: "path" | "query", components: Record<string, Json>): Json[] {
  const { properties = {}, required = [] } = schema ?? {};
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: (required as readonly string[]).includes(name),
    schema: jsonSchema(property, components),
  }));
}

/** How the answers of a route are sent. */
export function mediaTypeOf({ streams }: RouteSpec): string {
  return streams === true ? "text/event-stream" : "application/json";
}

function success(spec: RouteSpec, components: Record<string, Json>): JsonObject {
  const { status, answer, streams } = spec;
  const description = streams === true ? "Events, of which each one's data is this." : "As it was asked for.";
  if (answer === null) return { [status]: { description: "Done." } };
  return {
    [status]: {
      description,
      content: { [mediaTypeOf(spec)]: { schema: jsonSchema(answer, components) } },
      ...(status === 202 && {
        headers: { Location: { description: "The job.", schema: { type: "string" } } },
      }),
    },
  };
}

/** Codes that a route may give, by their status. */
export function errorCodes(spec: RouteSpec): ReadonlyMap<number, readonly ErrorCode[]> {
  const codes: ErrorCode[] = [...COMMON_ERRORS, ...(spec.body === undefined ? [] : BODY_ERRORS), ...spec.errors];
  return Map.groupBy([...new Set(codes)], (code) => ERROR_TABLE[code].http);
}

function errorsOf(spec: RouteSpec, components: Record<string, Json>): JsonObject {
  const schema = jsonSchema(spec.failure ?? errorBody, components);
  const entries = [...errorCodes(spec)].toSorted(([a], [b]) => a - b);
  return Object.fromEntries(entries.map(([status, codes]) => [status, errorAnswer(codes, schema)]));
}

function errorAnswer(codes: readonly ErrorCode[], schema: Json): Json {
  return { description: codes.join(", "), content: { "application/json": { schema } } };
}

function refTo(title: string): Json {
  return { $ref: `#/components/schemas/${title}` };
}

/** As it stands in the document: what has a title becomes a component, and here a reference to it. */
function jsonSchema(schema: TSchema, components: Record<string, Json>): Json {
  const { title, ...rest } = schema as TSchema & { readonly title?: string };
  if (title === undefined) return plain(rest, components);
  if (components[title] === undefined) {
    // Before its parts are gone through, in case they lead back to it.
    components[title] = {};
    components[title] = { title, ...(plain(rest, components) as JsonObject) };
  }
  return refTo(title);
}

function plain(value: unknown, components: Record<string, Json>): Json {
  if (Array.isArray(value)) return value.map((item) => nested(item, components));
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, nested(item, components)]));
}

function nested(value: unknown, components: Record<string, Json>): Json {
  const isTitled = typeof value === "object" && value !== null && "title" in value && typeof value.title === "string";
  return isTitled ? jsonSchema(value, components) : plain(value, components);
}
