import { expect, it } from "vitest";
import { openLog, withoutSecrets } from "./log.ts";

async function lines(
  level: "debug" | "info" | "warn" | "error",
  use: (log: Awaited<ReturnType<typeof openLog>>) => void,
) {
  const written: Record<string, unknown>[] = [];
  use(await openLog(level, (line) => void written.push(JSON.parse(line) as Record<string, unknown>)));
  return written;
}

it("writes one line of JSON for each message, with whose it is", async () => {
  const written = await lines("info", (log) => {
    log.child({ part: "mirror" }).warn({ host: "docker.io" }, "it is slow\nvery");
    log.debug({}, "not shown");
  });
  expect(written).toEqual([
    {
      level: "warn",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      part: "mirror",
      host: "docker.io",
      message: "it is slow\nvery",
    },
  ]);
});

it("shows more or less from one moment to the next, for children as well", async () => {
  const written = await lines("error", (log) => {
    const child = log.child({ part: "jobs" });
    child.info({}, "one");
    log.setLevel("debug");
    child.debug({}, "two");
    log.setLevel("warn");
    child.info({}, "three");
  });
  expect(written.map(({ message }) => message)).toEqual(["two"]);
});

it.each([
  ["https://cdn.example/blob?X-Amz-Signature=abc&X=1", "https://cdn.example/blob?..."],
  ["get http://h/p?token=1 and https://h/q?sig=2.", "get http://h/p?... and https://h/q?..."],
  ["postgres://varve:hunter2@db/jobs", "postgres://...@db/jobs"],
  ["Authorization: Bearer abcdef.ghijkl", "Authorization: Bearer ..."],
  ["Basic dXNlcjpwYXNz", "Basic ..."],
  ['{"authorization":"Bearer x","token":"a\\"b","ok":"yes"}', '{"authorization":"...","token":"...","ok":"yes"}'],
  ["a basic idea of https://docs.example/page", "a basic idea of https://docs.example/page"],
])("takes secrets out: %j", (line, shown) => {
  expect(withoutSecrets(line)).toBe(shown);
});

it("takes them out of whatever a part logs", async () => {
  const secret = "s3cr3t-signature";
  const written = await lines("debug", (log) => {
    log.info(
      { url: `https://h/b?sig=${secret}`, headers: { authorization: `Bearer ${secret}` } },
      `of https://h/?s=${secret}`,
    );
    log.error({ error: new Error(`GET https://h/b?sig=${secret} failed`) }, "failed");
  });
  expect(JSON.stringify(written)).not.toContain(secret);
});
