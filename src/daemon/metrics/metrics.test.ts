import { expect, it } from "vitest";
import { startTestDaemon } from "../../../test/kit/daemon/start-daemon.ts";
import { METRICS } from "./names.ts";
import { openMetrics } from "./prometheus.ts";

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prometheus' text format 0.0.4, as strictly as it says. @throws Error at a line that is not of it */
function parseExposition(text: string): {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
} {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) types.set(String(type[1]), String(type[2]));
    if (type !== null || /^# HELP [a-zA-Z_:][\w:]* \S/.test(line)) continue;
    const [, name, inner = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`no line of the format: ${line}`);
    const labels = [...inner.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/g)];
    expect(labels.map(([whole]) => whole).join("")).toBe(inner);
    const number = value === "+Inf" ? Infinity : Number(value);
    if (Number.isNaN(number) && value !== "Nan") throw new Error(`no number: ${line}`);
    samples.push({ name, labels: Object.fromEntries(labels.map(([, key, its]) => [key, its])), value: number });
  }
  for (const { name } of samples) {
    expect(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, ""))).toBe(true);
  }
  return { types, samples };
}

function options(
  storeBytes: () => Promise<Record<string, number>> = async () => ({ blobs: 7 }),
  now = (): number => 0,
) {
  return { version: "1.2.3", storeBytes, now };
}

it("counts what the parts of the daemon tell, each in its unit", async () => {
  const metrics = await openMetrics(options());
  metrics.bytes("network", 1000);
  metrics.bytes("network", 24);
  metrics.jobEnded("pull", "done", 3);
  metrics.jobEnded("pull", "failed", 0.2);
  metrics.retried('evil"host\n\\');
  metrics.fellBack("zstd-chunked");
  metrics.cache("blob", "hit");
  metrics.served(5);
  metrics.queue({ queued: 2, running: 1 });
  metrics.requestBegan();
  metrics.requestBegan();
  metrics.requestEnded("GET", "/v2/blobs", 206, 0.003);
  metrics.refused("rate");
  metrics.auditFailed();
  const { type, text } = await metrics.exposition();
  expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
  const { types, samples } = parseExposition(text);
  const value = (name: string, labels: Record<string, string> = {}): number | undefined =>
    samples.find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, its]) => sample.labels[key] === its),
    )?.value;
  expect(value("varve_bytes_total", { kind: "network" })).toBe(1024);
  expect(value("varve_jobs_total", { kind: "pull", state: "failed" })).toBe(1);
  expect(value("varve_job_duration_seconds_sum", { kind: "pull" })).toBeCloseTo(3.2);
  expect(value("varve_job_duration_seconds_bucket", { kind: "pull", le: "1" })).toBe(1);
  expect(value("varve_job_duration_seconds_bucket", { kind: "pull", le: "+Inf" })).toBe(2);
  expect(value("varve_retries_total", { host: 'evil\\"host\\n\\\\' })).toBe(1);
  expect(value("varve_fallbacks_total", { from: "zstd-chunked" })).toBe(1);
  expect(value("varve_mirror_requests_total", { what: "blob", how: "hit" })).toBe(1);
  expect(value("varve_served_bytes_total")).toBe(5);
  expect(value("varve_jobs", { state: "queued" })).toBe(2);
  expect(value("varve_http_requests_in_flight")).toBe(1);
  expect(value("varve_http_requests_total", { method: "GET", route: "/v2/blobs", status: "206" })).toBe(1);
  expect(value("varve_http_refused_total", { why: "rate" })).toBe(1);
  expect(value("varve_audit_failures_total")).toBe(1);
  expect(value("varve_store_bytes", { what: "blobs" })).toBe(7);
  expect(value("varve_build_info", { version: "1.2.3" })).toBe(1);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e6);
  for (const { name, kind } of Object.values(METRICS)) expect(types.get(name)).toBe(kind);
});

it("has no more hosts in its labels than memory allows", async () => {
  const metrics = await openMetrics(options());
  for (let host = 0; host < 1000; host++) metrics.retried(`h${host}.example`);
  const { samples } = parseExposition((await metrics.exposition()).text);
  const retries = samples.filter(({ name }) => name === "varve_retries_total");
  expect(retries.length).toBe(201);
  expect(retries.find(({ labels }) => labels["host"] === "other")?.value).toBe(800);
});

it("measures the store at most once a minute, and shows what it last knew when that fails", async () => {
  let now = 0;
  let asked = 0;
  const storeBytes = async (): Promise<Record<string, number>> => {
    asked++;
    if (asked === 2) throw new Error("the disk is gone");
    return { total: asked };
  };
  const metrics = await openMetrics(options(storeBytes, () => now));
  const total = async (): Promise<number | undefined> =>
    parseExposition((await metrics.exposition()).text).samples.find(({ name }) => name === "varve_store_bytes")?.value;
  expect([await total(), await total()]).toEqual([1, 1]);
  expect(asked).toBe(1);
  now += 60_000;
  expect(await total()).toBe(1);
  now += 60_000;
  expect(await total()).toBe(3);
});

it("is served in its format, with few routes whatever is asked for", async () => {
  const daemon = await startTestDaemon();
  for (let name = 0; name < 20; name++) await daemon.call("GET", `/some/${name}`);
  await daemon.call("GET", `/v2/a/${"b/".repeat(20)}manifests/latest`);
  const answer = await daemon.call("GET", "/metrics");
  expect(answer.headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/);
  const { samples } = parseExposition(answer.bytes.toString());
  const requests = samples.filter(({ name }) => name === "varve_http_requests_total");
  expect(requests.find(({ labels }) => labels["route"] === "other")).toMatchObject({
    value: 20,
    labels: { status: "404" },
  });
  expect(requests.find(({ labels }) => labels["route"] === "/v2/manifests")).toMatchObject({ value: 1 });
});
