/** What balena's engine answers when it is asked for a delta, from asking for it to having the target elsewhere. */
import { request } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { engineError } from "../../../src/daemon/api/balena/balena-table.ts";
import { openClient, openVarve, pull, pushImage, type Client, type Varve } from "../../../src/index.ts";
import { mustBeCoded } from "../../kit/daemon/api-schemas.ts";
import { filledDaemon } from "../../kit/daemon/filled-daemon.ts";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import { NO_HOME } from "../../kit/http/test-client.ts";
import { tempDir } from "../../kit/temp-dir.ts";

interface Message {
  readonly id?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly progress?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code: number; readonly message: string };
}

function query(values: Readonly<Record<string, string>>): string {
  return `?${new URLSearchParams(values).toString()}`;
}

function messagesIn(text: string): readonly Message[] {
  const lines = text.split("\r\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => JSON.parse(line) as Message);
}

/** Without repeats, which only show how far something has come. */
function story(messages: readonly Message[]): string[] {
  const told = messages.map(({ id, status }) => (id === undefined ? String(status) : `${id}: ${status}`));
  return told.filter((line, at) => line !== told[at - 1]).map((line) => line.replace(/took .*$/, "took a while"));
}

async function otherStore(): Promise<Varve> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return storeAt(`${dir.path}/store`);
}

async function storeAt(root: string): Promise<Varve> {
  const varve = await openVarve({
    root,
    threads: 0,
    snapshotter: "none",
    store: { sync: false },
    registry: { registriesConf: false, env: NO_HOME },
  });
  onTestFinished(() => varve[Symbol.asyncDispose]());
  return varve;
}

/** 12 hex digits. */
const shortId = (digest: string): string => digest.slice(7, 19);

describe("POST /images/delta", () => {
  it("tells how the delta is made, and what was made gives the target in another store", async () => {
    const { daemon, registry, client, app, names } = await filledDaemon({ has: ["app"] });
    const tag = `${registry.host}/team/app:1-2`;
    const path = `/images/delta${query({ src: names.base, dest: names.target, t: tag })}`;
    const answer = await daemon.call("POST", path, { "content-type": "application/json" });
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/json"]);
    const messages = messagesIn(answer.bytes.toString());
    const [common, ...others] = app.target.layers.map(({ diffId }) => shortId(diffId));
    const all = [common, ...others];
    const sizes = messages.find(({ status }) => status?.startsWith("Normal size"))!.status!;
    const created = messages.find(({ status }) => status?.startsWith("Created delta"))!.status!;
    expect(story(messages)).toEqual([
      `${names.base}: Fingerprinting`,
      `${names.base}: Fingerprint complete, took a while`,
      ...all.map((id) => `${id}: Waiting`),
      `${common}: Skipping common layer`,
      ...others.flatMap((id) => [`${id}: Computing delta`, `${id}: Delta complete`]),
      sizes,
      created,
      `Successfully tagged ${tag}\n`,
    ]);
    const read = messages.findLast(({ status }) => status === "Fingerprinting")!;
    const baseBytes = app.base.layers.reduce((sum, { tar }) => sum + tar.length, 0);
    expect(read.progressDetail).toEqual({ current: baseBytes, total: baseBytes });
    expect(read.progress).toMatch(/^\[=+>\] +[\d.]+kB\/[\d.]+kB$/);
    expect(sizes).toMatch(/^Normal size: [\d.]+kB, Delta size: [\d.]+kB, \d+\.\d\dx improvement$/);

    const { jobs } = await client.jobs.list({ kind: "delta" });
    expect(jobs[0]).toMatchObject({ state: "done", input: { base: names.base, target: names.target, tag } });
    expect(created).toBe(`Created delta: ${(await client.images.get(tag)).imageId}`);

    await pushImage(await storeAt(daemon.root), tag);
    const elsewhere = await otherStore();
    await pull(elsewhere, names.base);
    const pulled = await pull(elsewhere, tag);
    expect(pulled).toMatchObject({ status: "pulled", imageId: app.target.config.digest });
    const hows = pulled.layers.map(({ how }) => how);
    expect(hows).toContain("librsync-delta");
    for (const { diffId, tar } of app.target.layers) {
      expect(await elsewhere.store.layers.findByDiffId(diffId)).not.toHaveLength(0);
      expect(tar.length).toBeGreaterThan(0);
    }
    expect(await elsewhere.store.images.get(tag)).toMatchObject({ configDigest: app.target.config.digest });
  });

  it("is asked with a version of Docker's API in front too, and for images by their IDs", async () => {
    const { daemon, app } = await filledDaemon({ has: ["app"] });
    const [src, dest] = [app.base.config.digest, app.target.config.digest.slice(7, 19)];
    const answer = await daemon.call("POST", `/v1.40/images/delta${query({ src, dest, t: "" })}`);
    const messages = messagesIn(answer.bytes.toString());
    expect(messages[0]).toMatchObject({ id: src, status: "Fingerprinting" });
    expect(messages.at(-1)?.status).toMatch(/^Created delta: sha256:[0-9a-f]{64}$/);
  });

  it("skips all layers of an image that is its own base", async () => {
    const { daemon, names, app } = await filledDaemon({ has: ["app"] });
    const answer = await daemon.call("POST", `/images/delta${query({ src: names.base, dest: names.base })}`);
    const ids = app.base.layers.map(({ diffId }) => shortId(diffId));
    expect(story(messagesIn(answer.bytes.toString()))).toEqual([
      `${names.base}: Fingerprinting`,
      `${names.base}: Fingerprint complete, took a while`,
      ...ids.map((id) => `${id}: Waiting`),
      ...ids.map((id) => `${id}: Skipping common layer`),
      "Normal size: 0B, Delta size: 0B, 1.00x improvement",
      expect.stringMatching(/^Created delta: sha256:/),
    ]);
  });

  it("refuses with a status what is wrong before anything was told", async () => {
    const { daemon, client, names } = await filledDaemon({ has: ["app"] });
    const before = (await client.jobs.list()).jobs.length;
    const wrong: readonly (readonly [string, string, string])[] = [
      [
        query({ src: "example.com/nothing:1", dest: names.target }),
        "IMAGE_NOT_FOUND",
        "no such image: example.com/nothing:1",
      ],
      [query({ src: names.base, dest: "nothing" }), "IMAGE_NOT_FOUND", "no such image: nothing"],
      [
        query({ src: names.base, dest: names.target, t: `a/b@sha256:${"a".repeat(64)}` }),
        "REFERENCE_INVALID",
        "digest",
      ],
      [query({ src: names.base, dest: names.target, t: "A B" }), "REFERENCE_INVALID", ""],
      [query({ src: "oci:/etc", dest: names.target }), "REFERENCE_INVALID", ""],
      [query({ src: names.base }), "REQUEST_INVALID", "dest"],
      [`${query({ src: names.base, dest: names.target })}&src=twice`, "REQUEST_INVALID", "src"],
      ["", "REQUEST_INVALID", ""],
    ];
    for (const [text, code, message] of wrong) {
      for (const path of ["/images/delta", "/deltas/create"]) {
        if (path === "/deltas/create" && text.includes("&t=")) continue;
        const answer = await daemon.call("POST", path + text);
        expect(mustBeCoded(answer, path + text, engineError)).toBe(code);
        expect(answer.json()["message"]).toContain(message);
      }
    }
    expect((await client.jobs.list()).jobs).toHaveLength(before);
  });

  it("ends the work when the client goes away, and not when the daemon does", async () => {
    const { daemon: first, names } = await filledDaemon({ has: ["app"] });
    await first.stop();
    // No delta is begun, so that there is time.
    const waiting = { root: first.root, config: { jobs: { deltas: 0 } } };
    const daemon = await startTestDaemon(waiting);
    const client = openClient({ url: daemon.origin });
    const url = `${daemon.origin}/images/delta${query({ src: names.base, dest: names.target })}`;

    const gone = new AbortController();
    const left = request(url, { method: "POST", signal: gone.signal });
    const [, job] = await Promise.all([
      expect(left).rejects.toThrow("abort"),
      queuedDelta(client).finally(() => gone.abort()),
    ]);
    expect(await client.jobs.wait(job)).toMatchObject({ state: "cancelled" });

    const cut = request(url, { method: "POST" });
    const kept = await queuedDelta(client);
    const answered = cut.then(({ statusCode }) => statusCode).catch(() => "cut");
    await daemon.stop();
    expect(await answered).not.toBe(200);
    const again = openClient({ url: (await startTestDaemon(waiting)).origin });
    expect(await again.jobs.get(kept)).toMatchObject({ state: "queued" });
  });
});

describe("POST /deltas/create", () => {
  it("answers with the ID of a delta of the name that follows from both images", async () => {
    const { daemon, client, names } = await filledDaemon({ has: ["app"] });
    const answer = await daemon.call("POST", `/deltas/create${query({ src: names.base, dest: names.target })}`);
    expect(answer.status).toBe(201);
    const { Id } = answer.json();
    const { deltas } = await client.deltas.list();
    const made = deltas.find(({ name }) => /^docker\.io\/library\/delta:delta-[0-9a-f]{8}$/.test(name));
    expect((await client.images.get(made!.name)).imageId).toBe(Id);
  });
});

/** A delta job that waits in the queue, as soon as there is one. */
async function queuedDelta(client: Client): Promise<string> {
  for await (const event of client.events()) {
    if (event.type === "job" && event.job.kind === "delta" && event.job.state === "queued") return event.job.id;
  }
  return expect.unreachable();
}
