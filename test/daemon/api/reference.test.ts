/** What the daemon says of its API is true of it, valid, and needs nothing from elsewhere. */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it, onTestFinished } from "vitest";
import { BALENA_ROUTES } from "../../../src/daemon/api/balena/balena-table.ts";
import { openApi } from "../../../src/daemon/api/reference/openapi.ts";
import { OPERATIONS } from "../../../src/daemon/api/schemas/operations.ts";
import { ROUTES } from "../../../src/daemon/api/schemas/routes.ts";
import { ERROR_TABLE } from "../../../src/errors/table.ts";
import { mustBeCoded } from "../../kit/daemon/api-schemas.ts";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import { tempDir } from "../../kit/temp-dir.ts";

type Node = Record<string, unknown>;

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: Node;
  }[];
  readonly requestBody?: {
    readonly content: { readonly "application/json": { readonly schema: Node; readonly example: unknown } };
  };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Node }>> }>
  >;
}

interface Document extends Node {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Node>> };
}

const DOCUMENT = openApi("1.2.3") as unknown as Document;

function operations(): Operation[] {
  return Object.values(DOCUMENT.paths).flatMap((path) => Object.values(path));
}

/** All objects of the document, at any depth. */
function* nodesOf(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Node;
  for (const item of Object.values(value)) yield* nodesOf(item);
}

function resolve(reference: string): unknown {
  const names = reference.replace(/^#\//, "").split("/");
  return names.reduce<unknown>((node, name) => (node as Node | undefined)?.[name], DOCUMENT);
}

it("has every route, and no other", () => {
  const listed = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => `${operationId}: ${method.toUpperCase()} ${path}`),
  );
  const own = Object.entries(OPERATIONS).map(([id, place]) => `${id}: ${place}`);
  const balena = BALENA_ROUTES.map(({ id, method, path }) => `${id}: ${method} ${path}`);
  expect(listed.toSorted()).toEqual([...own, ...balena].toSorted());
  expect(Object.keys(ROUTES).toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
});

it("refers to nothing that is not in it", () => {
  const references = [...nodesOf(DOCUMENT)].flatMap((node) => (typeof node["$ref"] === "string" ? [node["$ref"]] : []));
  expect(references.length).toBeGreaterThan(100);
  for (const reference of references) expect([reference, typeof resolve(reference)]).toEqual([reference, "object"]);
  const named = new Set(references.map((reference) => reference.replace("#/components/schemas/", "")));
  expect(Object.keys(DOCUMENT.components.schemas).filter((name) => !named.has(name))).toEqual([]);
});

it("has schemas that are valid, and examples that they take", () => {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema({ $id: "api", ...DOCUMENT });
  for (const name of Object.keys(DOCUMENT.components.schemas)) {
    expect([name, typeof ajv.getSchema(`api#/components/schemas/${name}`)]).toEqual([name, "function"]);
  }
  let examples = 0;
  for (const { operationId, requestBody } of operations()) {
    if (requestBody === undefined) continue;
    const { schema, example } = requestBody.content["application/json"];
    const validate = ajv.getSchema(`api${String(schema["$ref"])}`)!;
    expect([operationId, validate(example), validate.errors]).toEqual([operationId, true, null]);
    examples++;
  }
  expect(examples).toBe(Object.values(ROUTES).filter((spec) => "body" in spec).length);
  for (const node of nodesOf(DOCUMENT)) {
    if (!Array.isArray(node["examples"])) continue;
    const validate = ajv.compile(node as object);
    for (const example of node["examples"]) expect([example, validate(example)]).toEqual([example, true]);
  }
});

it("says of each path what stands in it, and of each error the status that it has", () => {
  for (const [path, methods] of Object.entries(DOCUMENT.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { parameters = [], responses } of Object.values(methods)) {
      const said = parameters.filter((one) => one.in === "path");
      expect(said.map(({ name }) => name)).toEqual(inPath);
      expect(said.every(({ required }) => required)).toBe(true);
      expect(Object.keys(responses).filter((status) => status.startsWith("2"))).toHaveLength(1);
      expect(Object.keys(responses)).toContain("400");
    }
  }
  const statuses = new Set(Object.values(ERROR_TABLE).map(({ http }) => String(http)));
  for (const { responses } of operations()) {
    for (const status of Object.keys(responses)) expect(status.startsWith("2") || statuses.has(status)).toBe(true);
  }
});

it("is answered without a key, and the page of it runs nothing and asks nobody", async () => {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const tokenFile = join(dir.path, "tokens");
  await writeFile(tokenFile, `${"t".repeat(40)}\n`, { mode: 0o600 });
  const daemon = await startTestDaemon({ config: { listen: { noAuth: false, tokenFile } } });
  expect(mustBeCoded(await daemon.call("GET", "/v1/version"), "no key")).toBe("UNAUTHORIZED");
  const json = await daemon.call("GET", "/openapi.json");
  expect(json.status).toBe(200);
  expect(json.json()).toMatchObject({ openapi: "3.1.0", info: { title: "varve" } });
  const page = await daemon.call("GET", "/docs");
  expect([page.status, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
  const html = page.bytes.toString();
  const [, style = ""] = /<style>(.*?)<\/style>/s.exec(html) ?? [];
  const hash = createHash("sha256").update(style).digest("base64");
  expect(page.headers["content-security-policy"]).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'`,
  );
  expect(html).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|\sstyle=|src=|url\(|https?:\/\//i);
  for (const place of Object.values(OPERATIONS)) expect(html).toContain(place.split(" ")[1]);
  const ids = new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id));
  const anchors = [...html.matchAll(/href="#([^"]*)"/g)].map(([, id]) => id);
  expect(anchors.filter((id) => !ids.has(id))).toEqual([]);
});
