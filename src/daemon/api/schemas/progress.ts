/** How transfers get on: `ProgressEvent`, the same that `varve --progress json` prints. */
import { Type, type Static, type TProperties } from "typebox";
import { byteCounts, count, digest, nullable, object, words } from "./common.ts";

const told = <Kind extends string, Properties extends TProperties>(type: Kind, properties: Properties) =>
  object({ type: Type.Literal(type), ...properties });

const optionalDigest = Type.Optional(digest());
const speed = {
  bytesPerSecond: Type.Number({ minimum: 0 }),
  etaSeconds: nullable(Type.Number({ minimum: 0 })),
};

export const progressEvent = Type.Union(
  [
    told("resolve", {
      reference: Type.String(),
      digest: optionalDigest,
      platform: Type.Optional(Type.String()),
      to: Type.Optional(Type.String()),
    }),
    told("layer-queued", { digest: digest(), total: count(), done: count() }),
    told("disk-queued", { digest: digest(), name: Type.String(), total: count() }),
    told("unpack-queued", { digest: digest(), total: nullable(count()) }),
    told("layer-start", { digest: digest(), total: count(), resumed: count() }),
    told("progress", {
      digest: digest(),
      done: count(),
      total: count(),
      ...speed,
      ...byteCounts.properties,
      sent: Type.Optional(count()),
    }),
    told("unpack", {
      digest: digest(),
      done: count(),
      total: nullable(count()),
      entries: count(),
      compresses: Type.Optional(Type.Boolean()),
    }),
    told("disk", {
      path: Type.String(),
      phase: words(["copying", "checking", "done"]),
      done: count(),
      total: count(),
      copied: count(),
      ...speed,
    }),
    told("delta", {
      digest: digest(),
      phase: words(["fingerprinting", "queued", "computing", "common", "done"]),
      done: count(),
      total: count(),
      ...speed,
    }),
    told("retry", {
      digest: optionalDigest,
      host: Type.String(),
      attempt: count(),
      delayMs: Type.Number({ minimum: 0 }),
      reason: Type.String(),
    }),
    told("failover", { digest: optionalDigest, from: Type.String(), to: Type.String(), reason: Type.String() }),
    told("throttle", { host: Type.String(), limit: count(), previous: count() }),
    told("fallback", { digest: digest(), from: Type.String(), reason: Type.String() }),
    told("wait", { digest: digest(), done: count(), total: count() }),
    told("layer-verified", { digest: digest(), total: count() }),
    told("layer-mounted", { digest: digest(), total: count(), from: Type.String() }),
    told("layer-present", { digest: digest(), total: count() }),
    told("layer-done", { digest: digest(), total: count(), diffId: optionalDigest }),
    told("image-done", { reference: Type.String(), digest: digest() }),
    told("warning", { message: Type.String(), code: Type.Optional(Type.String()), digest: optionalDigest }),
  ],
  { title: "ProgressEvent" },
);
export type ProgressEvent = Static<typeof progressEvent>;
