/** What the routes of balena's engine take and give, for the OpenAPI document and for checking requests. */
import { Type } from "typebox";
import { count, digest, errorFacts, imageWord, object } from "../schemas/common.ts";
import type { RouteSpec } from "../schemas/routes.ts";

const message = object(
  {
    id: Type.Optional(Type.String({ description: "`src` as it was given, or 12 digits of a layer's DiffID." })),
    status: Type.Optional(Type.String()),
    progressDetail: Type.Optional(object({ current: Type.Optional(count()), total: Type.Optional(count()) })),
    progress: Type.Optional(Type.String()),
    error: Type.Optional(Type.String()),
    errorDetail: Type.Optional(object({ code: Type.Integer(), message: Type.String() })),
  },
  { title: "BalenaMessage" },
);

/** What Docker's clients read, and what clients of this API do. */
export const engineError = object({ message: Type.String(), error: errorFacts }, { title: "EngineError" });

const pair = { src: imageWord("The base."), dest: imageWord("The target.") };

interface BalenaRoute {
  readonly id: string;
  readonly method: "POST";
  readonly path: string;
  readonly spec: RouteSpec;
}

export const BALENA_ROUTES: readonly BalenaRoute[] = [
  {
    id: "balenaDelta",
    method: "POST",
    path: "/images/delta",
    spec: {
      tag: "Balena",
      summary: "Make a delta as balena's engine does, and tell how it gets on",
      description:
        "JSON messages, one a line, each ended by CR LF. What fails before the first of them is an error of HTTP, later a message. Ends when the client goes away.",
      query: object({
        ...pair,
        t: Type.Optional(Type.String({ maxLength: 1024, description: "NAME:TAG of the delta; empty for none." })),
      }),
      status: 200,
      answer: message,
      failure: engineError,
      errors: ["IMAGE_NOT_FOUND", "REFERENCE_INVALID", "QUEUE_FULL"],
    },
  },
  {
    id: "balenaCreate",
    method: "POST",
    path: "/deltas/create",
    spec: {
      tag: "Balena",
      summary: "Make a delta, as balena's engine did at first",
      query: object(pair),
      status: 201,
      failure: engineError,
      answer: object({ Id: digest("The delta image's ID.") }, { title: "BalenaCreated" }),
      errors: ["IMAGE_NOT_FOUND", "REFERENCE_INVALID", "QUEUE_FULL"],
    },
  },
];
