/** `/openapi.json` and `/docs`: what the API is, for programs and for people. They tell nothing of this machine and need no key. */
import type { FastifyPluginAsync } from "fastify";
import { refuseOtherMethods } from "../other-methods.ts";
import { DOCS_CSP, docsPage } from "./docs-page.ts";
import { openApi } from "./openapi.ts";

export function referenceRoutes(version: string): FastifyPluginAsync {
  return async (scope) => {
    // Made when somebody first asks, which mostly nobody does.
    let document: { readonly json: string; readonly html: string } | undefined;
    const made = (): { readonly json: string; readonly html: string } => {
      if (document === undefined) {
        const api = openApi(version);
        document = { json: JSON.stringify(api), html: docsPage(api) };
      }
      return document;
    };
    const config = { public: true };
    scope.addHook("onSend", async (_request, reply) => {
      void reply.headers({ "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff" });
    });
    scope.get("/openapi.json", { config }, async (_request, reply) =>
      reply.type("application/json; charset=utf-8").send(made().json),
    );
    scope.get("/docs", { config }, async (_request, reply) =>
      reply
        .headers({ "Content-Security-Policy": DOCS_CSP, "Referrer-Policy": "no-referrer" })
        .type("text/html; charset=utf-8")
        .send(made().html),
    );
    refuseOtherMethods(scope, [
      { method: "GET", path: "/openapi.json" },
      { method: "GET", path: "/docs" },
    ]);
  };
}
