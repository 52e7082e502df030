/** Bodies are JSON, strictly: names are unique, the nesting is bounded, and nothing is guessed from another content type. */
import type { FastifyInstance } from "fastify";
import { toError } from "../../errors/varve-error.ts";
import { parseJson } from "../../oci/strict-json.ts";

export function takeOnlyJson(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, bytes, done) => {
    try {
      done(
        null,
        bytes.length === 0 ? undefined : parseJson(Buffer.from(bytes), "the body", { code: "REQUEST_INVALID" }),
      );
    } catch (error) {
      done(toError(error));
    }
  });
}
