import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import fastify, { type FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { PAGE_FOLDER } from "./page-folder.ts";
import { pageRoutes } from "./page-routes.ts";

const SCRIPT = `export const strata = ${JSON.stringify("silt and clay; ".repeat(200))};\n`;

let work: Awaited<ReturnType<typeof tempDir>>;
let server: FastifyInstance;

beforeEach(async () => {
  work = await tempDir("varve-page-");
  await mkdir(join(work.path, "dist/assets"), { recursive: true });
  await writeFile(join(work.path, "dist/index.html"), "<!doctype html><title>varve</title>");
  await writeFile(join(work.path, "dist/assets/main-1a2b.js"), SCRIPT);
  await writeFile(join(work.path, "dist/assets/notes.txt"), "of a kind that no page has");
  await writeFile(join(work.path, "secret.js"), "outside");
  server = fastify();
  await server.register(pageRoutes, { folder: join(work.path, "dist") });
});

afterEach(async () => {
  await server.close();
  await work[Symbol.asyncDispose]();
});

describe("the page's files", () => {
  it("are served so that the browser asks for the page each time and for what has a hash in its name never again", async () => {
    const page = await server.inject("/");
    expect(page.statusCode).toBe(200);
    expect(page.headers).toMatchObject({ "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" });
    const script = await server.inject("/assets/main-1a2b.js");
    expect(script.body).toBe(SCRIPT);
    expect(script.headers).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "public, max-age=31536000, immutable",
    });
    const known = await server.inject({ url: "/", headers: { "if-none-match": `W/${String(page.headers["etag"])}` } });
    expect(known.statusCode).toBe(304);
    expect(known.body).toBe("");
  });

  it("come with gzip where it is taken and helps, under a tag of their own", async () => {
    const url = "/assets/main-1a2b.js";
    const plain = await server.inject(url);
    const short = await server.inject({ url, headers: { "accept-encoding": "br;q=1, gzip;q=0.8" } });
    expect(short.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(short.rawPayload).toString()).toBe(SCRIPT);
    expect(short.headers["etag"]).not.toBe(plain.headers["etag"]);
    for (const encoding of ["gzip;q=0", "br", "identity", "xgzip"]) {
      const response = await server.inject({ url, headers: { "accept-encoding": encoding } });
      expect([encoding, response.headers["content-encoding"]]).toEqual([encoding, undefined]);
    }
    const tiny = await server.inject({ url: "/", headers: { "accept-encoding": "gzip" } });
    expect(tiny.headers["content-encoding"]).toBeUndefined();
  });

  it("forbid everything that is not the daemon's own, also where nothing was found", async () => {
    for (const url of ["/", "/assets/main-1a2b.js", "/assets/none.js"]) {
      const { headers } = await server.inject(url);
      expect(headers["content-security-policy"]).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
      );
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
      });
    }
  });

  it("are no way to any other file", async () => {
    for (const path of [
      "../secret.js",
      "..%2f..%2fsecret.js",
      "%2e%2e/secret.js",
      "..\\secret.js",
      "notes.txt",
      "",
      "%00",
    ]) {
      const { statusCode, body } = await server.inject(`/assets/${path}`);
      expect([path, statusCode, body.includes("outside")]).toEqual([path, 404, false]);
    }
  });

  it("answer HEAD with the length and without a body", async () => {
    const { statusCode, headers, body } = await server.inject({ method: "HEAD", url: "/assets/main-1a2b.js" });
    expect([statusCode, headers["content-length"], body]).toEqual([200, String(SCRIPT.length), ""]);
  });
});

it("says how to build the page where it is not built", async () => {
  await using bare = fastify();
  await bare.register(pageRoutes, { folder: join(work.path, "nowhere") });
  const { statusCode, headers, body } = await bare.inject("/");
  expect([statusCode, headers["content-type"]]).toEqual([404, "text/plain; charset=utf-8"]);
  expect(body).toContain("PAGE_NOT_BUILT");
  expect(body).toContain("npm run build:page");
});

it("looks for the page of a checkout where it is built", () => {
  expect(PAGE_FOLDER).toBe(join(import.meta.dirname, "../../../web/dist"));
});
