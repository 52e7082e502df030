/** 405 with what there is instead, for paths that are there (RFC 9110 §15.5.6). */
import type { FastifyInstance, HTTPMethods } from "fastify";
import { VarveError } from "../../errors/varve-error.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const satisfies HTTPMethods[];

export function refuseOtherMethods(
  scope: FastifyInstance,
  places: readonly { readonly method: string; readonly path: string }[],
): void {
  for (const [path, found] of Map.groupBy(places, (place) => place.path)) {
    const url = path.replaceAll(/\{(\w+)\}/g, ":$1");
    const there = METHODS.filter(
      (method) => scope.hasRoute({ method, url }) || found.some((one) => one.method === method),
    );
    const allow = there.join(", ");
    const refused = METHODS.filter((method) => !there.includes(method));
    scope.route({
      method: refused,
      url,
      // Before the body, which nobody will look at.
      async onRequest(request, reply) {
        void reply.header("Allow", allow);
        throw new VarveError("METHOD_NOT_ALLOWED", `${request.method} is not for ${path}`, { hint: `use ${allow}` });
      },
      handler: async (_request, reply) => reply.send(),
    });
  }
}
