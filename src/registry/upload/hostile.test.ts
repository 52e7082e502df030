/** Registries that mean harm, or are in disorder, on the receiving side. */
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { scriptedServer, type Script, type ScriptedServer } from "../../../test/kit/http/scripted-server.ts";
import { at, describeBlob, eventLog, noise, opening, testClient } from "../../../test/kit/http/test-client.ts";
import type { RegistryOptions } from "../options.ts";

const BLOB = noise(200_000);
const DESCRIPTOR = describeBlob(BLOB);
const credentials = { username: "ada", password: "secret-of-ada" };
const AUTHORIZED = `Basic ${Buffer.from("ada:secret-of-ada").toString("base64")}`;

/** Answers by method; 404 to whatever has no answer. */
function answering(answers: Partial<Record<string, Script>>): Script {
  return (request, response, nth) => {
    const answer = answers[request.method];
    if (answer === undefined) response.writeHead(404).end();
    else answer(request, response, nth);
  };
}

/** Wants Basic before anything else. */
function guarded(script: Script): Script {
  return (request, response, nth) => {
    if (request.headers.authorization === AUTHORIZED) return script(request, response, nth);
    return response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
  };
}

const begin =
  (location: string | (() => string), headers: Record<string, string> = {}): Script =>
  (_, response) =>
    void response.writeHead(202, { location: typeof location === "string" ? location : location(), ...headers }).end();
const created: Script = (_, response) => void response.writeHead(201).end();

async function put(server: ScriptedServer, options: RegistryOptions = {}, chunkSize?: number) {
  await using client = testClient({ credentials, retries: 2, ...options });
  const sink = client.uploads(at(server.host));
  return await sink.putBlob(DESCRIPTOR, opening(BLOB), { chunkSize });
}

describe("an upload", () => {
  it("keeps credentials from a Location at another origin, also when it asks for them", async () => {
    await using thief = await scriptedServer((_, response) =>
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end(),
    );
    await using registry = await scriptedServer(guarded(answering({ POST: begin(() => `${thief.url}/take?sig=1`) })));
    await expect(put(registry)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    expect(thief.seen.length).toBeGreaterThan(0);
    for (const { headers } of thief.seen) expect(headers).not.toHaveProperty("authorization");
  });

  it("follows 307 with its body and without credentials, and nothing that makes a GET of it", async () => {
    await using store = await scriptedServer(created);
    await using registry = await scriptedServer(
      guarded(
        answering({
          POST: begin("/up"),
          PUT: (_, response) => void response.writeHead(307, { location: `${store.url}/put?sig=1` }).end(),
        }),
      ),
    );
    expect(await put(registry)).toBe("sent");
    expect(store.seen).toHaveLength(1);
    expect(store.seen[0]).toMatchObject({ method: "PUT", headers: { "content-length": "200000" } });
    expect(store.seen[0]?.headers).not.toHaveProperty("authorization");
    for (const status of [301, 302, 303]) {
      await using other = await scriptedServer(
        answering({
          POST: begin("/up"),
          PUT: (_, response) => void response.writeHead(status, { location: `${store.url}/put` }).end(),
        }),
      );
      await expect(put(other)).rejects.toMatchObject({ code: "REGISTRY_PROTOCOL" });
    }
    expect(store.seen).toHaveLength(1);
  });

  it("ends for redirects without end", async () => {
    for (const method of ["POST", "PUT"]) {
      const round: Script = (_, response) => void response.writeHead(307, { location: "/again" }).end();
      await using registry = await scriptedServer(answering({ POST: begin("/up"), [method]: round }));
      await expect(put(registry)).rejects.toMatchObject({ message: expect.stringContaining("redirects") });
      expect(registry.seen.length).toBeLessThan(20);
    }
  });

  it("ends for a registry that begins it nowhere, or out of the web", async () => {
    for (const location of ["", "file:///etc/passwd", "http://", `/${"x".repeat(10_000)}`]) {
      await using registry = await scriptedServer(answering({ POST: begin(location) }));
      await expect(put(registry)).rejects.toMatchObject({ code: "REGISTRY_PROTOCOL" });
    }
  });

  it("ends for headers without end", async () => {
    await using registry = await scriptedServer(
      answering({
        POST: (_, response) =>
          void response.writeHead(202, { location: "/up", ...Object.fromEntries(manyHeaders()) }).end(),
      }),
    );
    await expect(put(registry)).rejects.toMatchObject({
      code: "REGISTRY_PROTOCOL",
      message: expect.stringContaining("headers"),
    });
  });

  it("makes no progress of what a registry only claims", async () => {
    for (const range of ["0-0", "0-99", "0-99999999999", "0--5", "7-3", "-1"]) {
      await using registry = await scriptedServer(
        answering({
          POST: begin("/up"),
          PATCH: (_, response) => void response.writeHead(202, { location: "/up", range }).end(),
          PUT: created,
          GET: (_, response) => void response.writeHead(204, { location: "/up", range }).end(),
        }),
      );
      // What cannot be read says nothing, so that the status counts.
      const isReadable = /^0-\d+$/.test(range);
      const pushed = put(registry, {}, 50_000);
      if (!isReadable) expect(await pushed).toBe("sent");
      else await expect(pushed).rejects.toMatchObject({ code: expect.stringMatching(/REGISTRY_/) });
      expect(registry.seen.length).toBeLessThan(50);
    }
  });

  it("is refused once more before that is believed, and tells what the registry said", async () => {
    const invalid: Script = (_, response) =>
      void response
        .writeHead(400, { "content-type": "application/json" })
        .end(
          JSON.stringify({ errors: [{ code: "DIGEST_INVALID", message: "not what you said secret-of-ada\u001b[2J" }] }),
        );
    await using registry = await scriptedServer(guarded(answering({ POST: begin("/up"), PUT: invalid })));
    const failure = await put(registry).catch((error: unknown) => error as Error);
    expect(String(failure)).toContain("DIGEST_INVALID: not what you said [secret]");
    expect(String(failure)).not.toContain("\u001b");
    expect(registry.seen.filter(({ method }) => method === "PUT")).toHaveLength(2);
    expect(registry.seen.at(-1)?.method).toBe("DELETE");
  });

  it("is not done when the registry made something else of it", async () => {
    const other = describeBlob(noise(5)).digest;
    const wrong: Script = (_, response) => void response.writeHead(201, { "docker-content-digest": other }).end();
    await using registry = await scriptedServer(answering({ POST: begin("/up"), PUT: wrong }));
    await expect(put(registry)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
  });

  it("is not done before the last byte, whatever a registry says", async () => {
    for (const status of [201, 202]) {
      // Answers to the head of a request, and drops the body.
      const hasty = createServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () =>
          socket.end(`HTTP/1.1 ${status} Fine\r\nlocation: /up\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`),
        );
      });
      await new Promise<void>((resolve) => hasty.listen(0, "127.0.0.1", resolve));
      const { port } = hasty.address() as { port: number };
      await using registry = await scriptedServer(answering({ POST: begin(`http://127.0.0.1:${port}/up`) }));
      const wrong = async function* (): AsyncGenerator<Uint8Array> {
        yield BLOB.subarray(0, 150_000);
        await new Promise((resolve) => setTimeout(resolve, 50));
        yield BLOB.subarray(0, 50_000);
      };
      for (const chunkSize of [undefined, 180_000]) {
        await using client = testClient({ retries: 1 });
        const put = client.uploads(at(registry.host)).putBlob(DESCRIPTOR, wrong, { chunkSize });
        await expect(put).rejects.toMatchObject({ code: expect.stringMatching(/REGISTRY_|DIGEST_/) });
      }
      await new Promise((resolve) => hasty.close(resolve));
    }
  });

  it("is told from a repository that does not exist, and a registry that takes none", async () => {
    const unknown: Script = (_, response) =>
      void response.writeHead(404).end(JSON.stringify({ errors: [{ code: "NAME_UNKNOWN", message: "no project" }] }));
    await using absent = await scriptedServer(answering({ POST: unknown }));
    await expect(put(absent)).rejects.toMatchObject({ code: "REPOSITORY_UNKNOWN", exitCode: 3 });
    const refuse: Script = (_, response) => void response.writeHead(405).end();
    await using readOnly = await scriptedServer(answering({ POST: refuse }));
    await expect(put(readOnly)).rejects.toMatchObject({ code: "DENIED", exitCode: 4 });
    const forbid: Script = (_, response) => void response.writeHead(403).end();
    await using denied = await scriptedServer(answering({ POST: forbid }));
    await expect(put(denied)).rejects.toMatchObject({ code: "DENIED", hint: expect.stringContaining("write") });
  });

  it("takes no more of the source than the registry takes", async () => {
    let given = 0;
    const size = 64 * 1024 * 1024;
    const piece = noise(1024 * 1024);
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (; given < size; given += piece.length) yield piece;
    };
    const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
    // One that accepts a body and never reads it.
    const deaf = createServer((socket) => {
      socket.pause();
      socket.on("error", () => undefined);
      void stopped.then(() => socket.destroy());
    });
    await new Promise<void>((resolve) => deaf.listen(0, "127.0.0.1", resolve));
    const { port } = deaf.address() as { port: number };
    await using sender = await scriptedServer(answering({ POST: begin(`http://127.0.0.1:${port}/up`) }));
    await using client = testClient({ retries: 0 });
    const { events, onEvent } = eventLog();
    const abort = new AbortController();
    const blob = { ...DESCRIPTOR, size };
    const pushed = client.uploads(at(sender.host)).putBlob(blob, source, { onEvent, signal: abort.signal });
    const failed = pushed.catch((error: unknown) => error);
    let before = -1;
    await expect
      .poll(
        () => {
          const isStill = given > 0 && given === before;
          before = given;
          return isStill;
        },
        { interval: 200, timeout: 10_000 },
      )
      .toBe(true);
    expect(given).toBeLessThan(size / 2);
    const sent = events.reduce((sum, event) => sum + (event.type === "sent" ? event.bytes : 0), 0);
    expect(sent).toBeLessThanOrEqual(given + piece.length);
    abort.abort();
    expect(await failed).toMatchObject({ code: "INTERRUPTED" });
    stop();
    await new Promise((resolve) => deaf.close(resolve));
  });
});

function manyHeaders(): [string, string][] {
  return Array.from({ length: 200 }, (_, index) => [`x-${index}`, "y".repeat(500)]);
}
