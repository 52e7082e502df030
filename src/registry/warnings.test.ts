import { describe, expect, it } from "vitest";
import { scriptedServer } from "../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, eventLog, noise, testClient } from "../../test/kit/http/test-client.ts";
import { parseWarnings } from "./transport/warning-header.ts";

const TYPE = "application/vnd.oci.image.index.v1+json";
const MANIFEST = JSON.stringify({ schemaVersion: 2, mediaType: TYPE, manifests: [] });

describe("the Warning header", () => {
  it.each<[string, string | string[] | undefined, string[]]>([
    ["as the specification has it", '299 - "Your token expires soon."', ["Your token expires soon."]],
    ["several in one, with commas in them", '299 - "a, b", 299 - "c"', ["a, b", "c"]],
    ["several of them", ['299 - "a"', '299 - "b"'], ["a", "b"]],
    ["quotes and backslashes in it", String.raw`299 - "say \"no\" \\ now"`, [String.raw`say "no" \ now`]],
    ["UTF-8, which arrives as Latin-1", `299 - "${Buffer.from("größer").toString("latin1")}"`, ["größer"]],
    ["real Latin-1", '299 - "gr\u00f6\u00dfer"', ["größer"]],
    ["another code, agent or a date", '199 - "a", 299 cache "b", 299 - "c" "Wed, 21 Oct 2015 07:28:00 GMT"', []],
    ["no quotes or no end", '299 - text, 299 - "open', []],
    ["none", undefined, []],
    ["far too long", `299 - "${"x".repeat(20_000)}"`, []],
  ])("with %s", (_, value, texts) => {
    expect(parseWarnings(value)).toEqual(texts);
  });

  it("takes no time to refuse", () => {
    const startedAt = performance.now();
    for (const part of ['299 - "', '299 - "\\', ',299 - "a"', " ,", '"'])
      parseWarnings(part.repeat((16 * 1024) / part.length));
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});

describe("a registry that warns", () => {
  it("is heard once for each text, with manifests and blobs, without secrets and control characters", async () => {
    const blob = noise(1000);
    await using server = await scriptedServer((request, response, nth) => {
      if (request.headers.authorization === undefined)
        return void response.writeHead(401, { "www-authenticate": "Basic" }).end();
      response.setHeader("warning", ['299 - "moves\u0085 soon: secret-word"', `299 - "request ${nth > 2 ? 9 : nth}"`]);
      if (request.url.includes("/blobs/")) return void response.end(blob);
      response.writeHead(200, { "content-type": TYPE }).end(MANIFEST);
    });
    await using client = testClient({ credentials: { username: "ada", password: "secret-word" } });
    const { events, onEvent } = eventLog();
    await client.fetchManifest(at(server.host), { onEvent });
    await client.fetchManifest(at(server.host), { onEvent });
    for (let again = 0; again < 3; again++) {
      await collect(client.blobs(at(server.host)).readBlob(describeBlob(blob), { onEvent }));
    }
    const told = events.flatMap((event) => (event.type === "warning" ? [[event.host, event.text]] : []));
    const texts = ["moves  soon: [secret]", "request 1", "request 2", "request 9"];
    expect(told).toEqual(texts.map((text) => [server.host, text]));
  });

  it("is not listened to for ever", async () => {
    await using server = await scriptedServer((_, response, nth) => {
      response.writeHead(200, { "content-type": TYPE, warning: `299 - "${nth}"` }).end(MANIFEST);
    });
    await using client = testClient();
    const { events, onEvent } = eventLog();
    for (let nth = 0; nth < 60; nth++) await client.fetchManifest(at(server.host), { onEvent });
    expect(events.filter(({ type }) => type === "warning")).toHaveLength(50);
  });
});
