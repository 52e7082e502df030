/** The library's client against a daemon: over TCP, with a token, over a Unix socket; and over connections that break. */
import { createServer, type Server } from "node:http";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectDaemon, isVarveError, openClient, VarveError } from "../../../src/index.ts";
import { readEvents } from "../../../src/daemon/client/read-events.ts";
import { filledDaemon } from "../../kit/daemon/filled-daemon.ts";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import { listen } from "../../kit/net/listen.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { tempDir } from "../../kit/temp-dir.ts";

async function dir(): Promise<string> {
  const made = await tempDir();
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made.path;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new VarveError("INTERNAL", "it did not fail"),
    (reason: unknown) => reason,
  );
  return isVarveError(error) ? error.code : String(error);
}

describe("the client", () => {
  it("gets an image, follows how, and has what there is of it", async () => {
    const { client, names, app } = await filledDaemon({ has: ["app"] });
    await client.images.remove(names.target);
    const plan = await client.plans.create({ reference: names.target });
    expect(plan).toMatchObject({ status: "planned", imageId: app.target.config.digest });
    const job = await client.pulls.create({ reference: names.target });
    const seen: string[] = [];
    for await (const event of client.jobs.events(job.id)) seen.push(event.type);
    expect(seen).toContain("job");
    const ended = await client.jobs.wait(job.id);
    expect(ended).toMatchObject({ kind: "pull", state: "done", result: { status: "pulled" } });
    expect((await client.images.get(names.target)).imageId).toBe(app.target.config.digest);
    expect((await client.df()).images.count).toBe(2);
    expect(await client.gc.preview({ partialsOlderThanMs: 0 })).toMatchObject({ dryRun: true });
    expect(await client.version()).toMatchObject({ node: process.versions.node });
  });

  it("has names with slashes, blanks and percent signs as they are", async () => {
    const { client } = await filledDaemon({ has: [] });
    for (const key of ["a/b", "a b", "100%", "%2f", "?x=1", "#", "ä", "..x"]) {
      await client.snapshots.create({ key });
      expect(await client.snapshots.usage(key)).toMatchObject({ key });
      await client.snapshots.remove(key);
    }
    expect(await codeOf(client.snapshots.usage(".."))).toBe("REQUEST_INVALID");
    expect((await client.snapshots.list()).snapshots.filter(({ kind }) => kind !== "committed")).toEqual([]);
  });

  it("fails with the daemon's own errors", async () => {
    const daemon = await startTestDaemon();
    const client = openClient({ url: `${daemon.origin}/` });
    const failed: unknown = await client.images.get("example.com/none:1").catch((error: unknown) => error);
    expect(failed).toMatchObject({
      code: "IMAGE_NOT_FOUND",
      message: expect.stringContaining("example.com/none:1"),
      hint: expect.any(String),
      detail: { status: 404 },
    });
    expect(await codeOf(client.jobs.wait("none"))).toBe("JOB_NOT_FOUND");
    expect(await codeOf(client.pulls.create({ reference: "UPPER" }))).toBe("REFERENCE_INVALID");
    const stopped = AbortSignal.abort(new Error("no more"));
    await expect(client.df({ signal: stopped })).rejects.toThrow("no more");
  });

  it("is told that a registry wants a login of the daemon, and not that it needs a key itself", async () => {
    const auth = { kind: "basic", users: { user: "secret" } } as const;
    const registry = await startRegistry({ auth });
    onTestFinished(() => registry.close());
    const { origin: url } = await startTestDaemon();
    const reference = `${registry.host}/team/app:1`;
    expect(await codeOf(openClient({ url }).plans.create({ reference }))).toBe("DENIED");
  });

  it("shows its token, and says so where it has none", async () => {
    const tokenFile = join(await dir(), "tokens");
    const token = "a-token-that-is-long-enough-to-be-one";
    await writeFile(tokenFile, `${token} test\n`, { mode: 0o600 });
    const { origin: url } = await startTestDaemon({ config: { listen: { noAuth: false, tokenFile } } });
    expect(await codeOf(openClient({ url }).images.list())).toBe("UNAUTHORIZED");
    expect(await codeOf(openClient({ url, token: "another" }).images.list())).toBe("UNAUTHORIZED");
    expect(await openClient({ url, token }).images.list()).toEqual({ images: [], next: null });
    for (const path of ["/v1/images", "/v1.40/images/delta?src=a&dest=b"]) {
      const method = path.startsWith("/v1/") ? "GET" : "POST";
      const { status, headers } = await fetch(url + path, { method });
      expect([path, status, headers.get("www-authenticate")]).toEqual([path, 401, 'Bearer realm="varve"']);
    }
    await using daemon = connectDaemon({ url, token });
    expect(await daemon.images.list()).toEqual({ images: [], next: null });
  });

  it("talks to a Unix socket", async () => {
    const socket = join(await dir(), "varve.sock");
    await startTestDaemon({ config: { listen: { socket, address: null } } });
    await using daemon = connectDaemon({ socketPath: socket });
    const { id } = await daemon.gc.start({ dryRun: true });
    expect(await daemon.jobs.wait(id)).toMatchObject({ state: "done", result: { dryRun: true } });
    await using none = connectDaemon({ socketPath: `${socket}.none` });
    expect(await codeOf(none.df())).toBe("DAEMON_UNREACHABLE");
  });
});

/** A server that answers request after request as the handlers say, and then always as the last of them. */
async function scripted(
  ...answers: readonly ((write: (text: string) => void, end: () => void, cut: () => void) => void)[]
) {
  let asked = 0;
  const server: Server = createServer((_, response) => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!;
    response.setHeader("Content-Type", "text/event-stream");
    answer(
      (text) => void response.write(text),
      () => void response.end(),
      () => void response.destroy(),
    );
  });
  const listening = await listen(server);
  const { port } = listening;
  onTestFinished(() => listening.close());
  return { client: openClient({ url: `http://127.0.0.1:${port}` }), asked: () => asked };
}

const event = (state: string): string =>
  `event: job\ndata: ${JSON.stringify({ type: "job", job: { id: "1", state } })}\n\n`;

describe("events", () => {
  it("go on over another connection where one breaks, or ends too early", async () => {
    const { client, asked } = await scripted(
      (write, _, cut) => {
        write(event("queued"));
        setImmediate(cut);
      },
      (_, __, cut) => cut(),
      (write, end) => {
        write(`: hello\n\n${event("running").slice(0, 20)}`);
        end();
      },
      (write, end) => {
        write(event("running") + event("done"));
        end();
      },
    );
    const states: string[] = [];
    for await (const told of client.jobs.events("1")) if (told.type === "job") states.push(told.job.state);
    expect(states).toEqual(["queued", "running", "done"]);
    expect(asked()).toBe(4);
  });

  it("give up where nothing comes of it, and at once where it cannot", async () => {
    const { client, asked } = await scripted((_, __, cut) => cut());
    expect(await codeOf(client.jobs.wait("1", { retries: 2 }))).toBe("DAEMON_UNREACHABLE");
    expect(asked()).toBe(3);
    const stopped = new AbortController();
    const following = client.jobs.wait("1", { signal: stopped.signal });
    stopped.abort(new Error("no more"));
    await expect(following).rejects.toThrow("no more");
  });

  it("are read however their bytes are cut", async () => {
    const text =
      'retry: 1\n\n: x\n\nevent: a\ndata: {"ü":\ndata: 1}\n\nevent:b\r\ndata:2\r\n\r\ndata: 3\n\nevent: c\n\ndata: cut off';
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 2, 3, 7, 1000]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
        bytes.slice(n * size, (n + 1) * size),
      );
      const found = await Array.fromAsync(readEvents(ReadableStream.from(chunks) as ReadableStream<Uint8Array>));
      expect(found).toEqual([
        { event: "a", data: '{"ü":\n1}' },
        { event: "b", data: "2" },
        { event: "message", data: "3" },
      ]);
    }
  });
});
