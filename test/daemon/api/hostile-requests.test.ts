/** Whatever a request holds, the answer is a coded error or what was asked for: never a failure of the daemon's own. */
import * as fc from "fast-check";
import type { TObject, TSchema } from "typebox";
import { describe, expect, it, onTestFinished } from "vitest";
import { exampleOf } from "../../../src/daemon/api/reference/example.ts";
import { placeOf, type OperationId } from "../../../src/daemon/api/schemas/operations.ts";
import { ROUTES, type RouteSpec } from "../../../src/daemon/api/schemas/routes.ts";
import { mustBeCoded, mustBeGood } from "../../kit/daemon/api-schemas.ts";
import { startTestDaemon, type TestDaemon } from "../../kit/daemon/start-daemon.ts";
import type { CallAnswer } from "../../kit/net/call.ts";
import { rawExchange } from "../../kit/net/raw-exchange.ts";
import { tempDir } from "../../kit/temp-dir.ts";

const IDS = (Object.keys(ROUTES) as OperationId[]).filter((id) => id !== "followJobs");
const JSON_TYPE = { "content-type": "application/json" };

const specOf = (id: OperationId): RouteSpec => ROUTES[id];

/** Names that are good by accident lead nowhere: no address may be asked. */
async function daemonFor(): Promise<TestDaemon> {
  const disks = await tempDir();
  onTestFinished(() => disks[Symbol.asyncDispose]());
  return startTestDaemon({
    snapshotter: "copy",
    config: { log: { level: "error" }, diskDirectory: disks.path },
    registry: { retries: 0, allowAddress: () => false },
  });
}

function urlOf(id: OperationId, params: Readonly<Record<string, string>>, query = ""): string {
  const text = (name: string): string => encodeURIComponent(params[name] ?? "x");
  return placeOf(id).path.replaceAll(/\{(\w+)\}/g, (_, name: string) => text(name)) + query;
}

/** Values that are of another type than the schema's, or beyond its limits. */
function wrongFor(schema: TSchema): unknown[] {
  const { type, maxLength, maximum, minimum, enum: words } = schema as Readonly<Record<string, unknown>>;
  const wrong: unknown[] = [null, [], {}, [[]], { toString: "x" }];
  if (type !== "string") wrong.push("text", "");
  if (type !== "integer") wrong.push(1, -1, 1e308);
  if (type !== "boolean") wrong.push(true);
  if (words !== undefined) wrong.push("none of them");
  if (typeof maxLength === "number") wrong.push("", "a".repeat(maxLength + 1));
  if (typeof maximum === "number") wrong.push(maximum + 1, 1e300);
  if (typeof minimum === "number") wrong.push(minimum - 1, -1e300, minimum + 0.5);
  if (type === "array") return wrong.filter((value) => !Array.isArray(value) || value.length > 0);
  return type === "object" ? wrong.filter((value) => typeof value !== "object" || Array.isArray(value)) : wrong;
}

function wrongBodies(schema: TObject): unknown[] {
  const good = exampleOf(schema) as Readonly<Record<string, unknown>>;
  const without = (schema.required ?? []).map((name) => {
    return Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
  });
  const wrong = Object.entries(schema.properties).flatMap(([name, property]) =>
    wrongFor(property).map((value) => Object.fromEntries([...Object.entries(good), [name, value]])),
  );
  const whole: unknown[] = [[], "text", 1, null, true, { ...good, unknown: 1 }, { ...good, constructor: {} }];
  return [...whole, ...without, ...wrong];
}

describe("a body", () => {
  it("that lacks something, has something else, or too much of it is refused by name", async () => {
    const daemon = await daemonFor();
    for (const id of IDS.filter((one) => specOf(one).body !== undefined)) {
      const { body, bodyOptional = false } = specOf(id);
      const url = urlOf(id, {});
      for (const wrong of wrongBodies(body!)) {
        const text = JSON.stringify(wrong);
        const answer = await daemon.call("POST", url, JSON_TYPE, text);
        expect(mustBeCoded(answer, `${id} ${text.slice(0, 200)}`)).toBe("REQUEST_INVALID");
      }
      const nothing = await daemon.call("POST", url);
      if (bodyOptional) mustBeGood(id, nothing);
      else expect(mustBeCoded(nothing, `${id} without a body`)).toBe("REQUEST_INVALID");
    }
  });

  it("that is no JSON, or JSON that two programs may read in two ways, is refused", async () => {
    const daemon = await daemonFor();
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    for (const bytes of [
      "{",
      "nul",
      "{}{}",
      '{"reference":"a","reference":"b"}',
      '{"reference":"a","__proto__":{"unpack":false}}',
      '{"__proto__":null}',
      `{"reference":${deep}}`,
      '{"reference":"\\ud800"}\u0000',
      Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]),
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
      Buffer.alloc(100),
    ]) {
      for (const path of ["/v1/pulls", "/v1/gc"]) {
        const answer = await daemon.call("POST", path, JSON_TYPE, bytes);
        expect(mustBeCoded(answer, bytes.toString().slice(0, 60))).toBe("REQUEST_INVALID");
      }
    }
  });

  it("of another type, or of too many bytes, is refused", async () => {
    const daemon = await daemonFor();
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "application/xml",
      "x",
    ]) {
      const answer = await daemon.call("POST", "/v1/gc", { "content-type": type }, "{}");
      expect(mustBeCoded(answer, type)).toBe("CONTENT_TYPE_UNSUPPORTED");
    }
    const large = JSON.stringify({ reference: "a".repeat(2 << 20) });
    expect(mustBeCoded(await daemon.call("POST", "/v1/pulls", JSON_TYPE, large), "2 MiB")).toBe("REQUEST_TOO_LARGE");
    // Of which nobody says how long it is.
    const chunked = (async function* () {
      for (let n = 0; n < 64; n++) yield Buffer.alloc(1 << 16, 0x20);
    })();
    const answer = await daemon.call("POST", "/v1/pulls", JSON_TYPE, chunked);
    expect(mustBeCoded(answer, "4 MiB in chunks")).toBe("REQUEST_TOO_LARGE");
  });
});

it("a query that has something unknown, twice or of another type is refused", async () => {
  const daemon = await daemonFor();
  for (const id of IDS.filter((one) => placeOf(one).method === "GET")) {
    const { query } = specOf(id);
    const names = Object.keys(query?.properties ?? {});
    const wrong = ["?unknown=1", "?__proto__=1", "?constructor=1", "?__proto__[limit]=1"];
    for (const name of names) {
      wrong.push(`?${name}=`, `?${name}=1&${name}=2`, `?${name}[]=1`, `?${name}=${"9".repeat(400)}${"a".repeat(4000)}`);
    }
    if (names.includes("limit"))
      wrong.push("?limit=0", "?limit=1001", "?limit=-1", "?limit=1e2", "?limit=0x10", "?limit=%31%00");
    for (const text of wrong) {
      expect(mustBeCoded(await daemon.call("GET", urlOf(id, {}, text)), `${id} ${text.slice(0, 60)}`)).toBe(
        "REQUEST_INVALID",
      );
    }
  }
});

/** Text that has meant something else to some program. */
const NASTY = fc.oneof(
  fc.constantFrom(
    "../../etc/passwd",
    "..",
    "/etc/passwd",
    "/dev/zero",
    "./x",
    "oci:/etc",
    "oci-archive:/etc/passwd",
    "docker-archive:/dev/zero",
    "docker://127.0.0.1:1/a",
    "http://127.0.0.1:1/",
    "a\r\nSet-Cookie: b=c",
    "a\u0000b",
    "\ud800",
    "%2e%2e%2f",
    "__proto__",
    "constructor",
    "sha256:abcdef",
    `sha256:${"a".repeat(64)}`,
    "a".repeat(1024),
    "💥".repeat(500),
    "$(reboot)",
    "';drop table images;--",
    "*",
    "a b",
    "\u202eabc",
    "user:password@host/name",
  ),
  fc.string({ minLength: 1, maxLength: 60, unit: "binary" }),
  fc.stringMatching(/^[a-z0-9./:@_-]{1,40}$/),
);

const ANY_JSON = fc.jsonValue({ maxDepth: 3 });

/** Mostly what the schema takes, so that it gets past the schema. */
function valueFor(schema: TSchema): fc.Arbitrary<unknown> {
  const {
    type,
    enum: words,
    minimum = 0,
    maximum = 1e15,
  } = schema as {
    readonly type?: string;
    readonly enum?: readonly string[];
    readonly minimum?: number;
    readonly maximum?: number;
  };
  if (words !== undefined) return fc.constantFrom(...words);
  if (type === "string") return NASTY;
  if (type === "boolean") return fc.boolean();
  if (type === "integer") return fc.integer({ min: minimum, max: Math.min(maximum, 2 ** 31 - 1) });
  if (type === "array") return fc.array(NASTY, { maxLength: 3 });
  return ANY_JSON;
}

function bodyFor({ properties, required }: TObject): fc.Arbitrary<unknown> {
  const members = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valueFor(schema)]));
  return fc.oneof(
    { weight: 6, arbitrary: fc.record(members, { requiredKeys: required }) },
    { weight: 1, arbitrary: ANY_JSON },
  );
}

/** What was asked for, or a coded error that is not the daemon's own. */
function mustBeAnswered(id: OperationId, answer: CallAnswer, what: string): void {
  if (answer.status < 300) {
    if (specOf(id).streams !== true) mustBeGood(id, answer);
    return;
  }
  const code = mustBeCoded(answer, what);
  // Names that are good ask a registry that is not there.
  if (answer.status >= 500) expect(`${code} ${what}`).toMatch(/^REGISTRY_/);
  for (const value of Object.values(answer.headers)) expect(value).not.toMatch(/[\r\n]/);
}

it("nothing that the schemas allow, and nothing else, makes the daemon fail", async () => {
  const daemon = await daemonFor();
  for (const id of IDS) {
    const { method } = placeOf(id);
    const { params, query, body } = specOf(id);
    const one = fc.record({
      params: fc.record(Object.fromEntries(Object.keys(params?.properties ?? {}).map((name) => [name, NASTY]))),
      query: fc.record(
        Object.fromEntries(Object.entries(query?.properties ?? {}).map(([name, schema]) => [name, valueFor(schema)])),
        { requiredKeys: [] },
      ),
      body: body === undefined ? fc.constant(undefined) : bodyFor(body),
    });
    const isNothing = params === undefined && query === undefined && body === undefined;
    await fc.assert(
      fc.asyncProperty(one, async ({ params: given, query: asked, body: sent }) => {
        const texts = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, text.toWellFormed()]));
        // `.` and `..` are taken out of the path by whoever sends it: what is asked then is another route, perhaps one without an end.
        fc.pre(!Object.values(texts).some((part) => /^\.{1,2}$/.test(part)));
        const search = new URLSearchParams(Object.entries(asked).map(([name, value]) => [name, String(value)]));
        const url = urlOf(id, texts, search.size === 0 ? "" : `?${search.toString()}`);
        const text = sent === undefined ? undefined : JSON.stringify(sent);
        const answer = await daemon.call(method, url, text === undefined ? {} : JSON_TYPE, text);
        mustBeAnswered(id, answer, `${id} ${url.slice(0, 200)} ${String(text).slice(0, 300)}`);
      }),
      { numRuns: isNothing ? 1 : body === undefined ? 30 : 60 },
    );
  }
  expect((await daemon.call("GET", "/healthz")).status).toBe(200);
});

it("paths that no client makes are answered like all others", async () => {
  const daemon = await daemonFor();
  for (const target of [
    "/v1/images/%zz",
    "/v1/images/%ff%fe",
    "/v1/images/%00",
    "/v1/images/..%2f..%2fetc%2fpasswd",
    "/v1/images/../../etc/passwd",
    `/v1/images/${"a".repeat(6000)}`,
    "/v1/jobs/%0d%0aX-Injected:%20yes",
    "/v1/jobs/__proto__",
    "/v1//images",
    "/V1/images",
  ]) {
    const { head, body } = await rawExchange(daemon.host, `GET ${target}`);
    expect(`${head} of ${target}`).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(head).not.toMatch(/x-injected/i);
    const json = /\{.*\}/s.exec(body.toString())?.[0] ?? "";
    expect(JSON.parse(json)).toMatchObject({ error: { code: expect.any(String), hint: expect.any(String) } });
  }
});
