/** What a person is told beside the figures, on a terminal and in a log. */
import { expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { shortDigest } from "../print/units.ts";
import { eventMessage } from "./messages.ts";

const digest = digestOf("layer");
const host = "registry.example";

it("says why it waits, and how long", () => {
  const reason = "REGISTRY_QUOTA: blob: registry.example has reached a quota of what it may send (status 503)";
  expect(eventMessage({ type: "retry", digest, host, attempt: 2, delayMs: 8000, reason })).toEqual({
    level: "info",
    text: `${shortDigest(digest)}: ${reason}; try 3 in 8.0 s`,
  });
  expect(eventMessage({ type: "retry", host, attempt: 1, delayMs: 250, reason: "reset" })).toEqual({
    level: "verbose",
    text: `${host}: reset; try 2 in 0.3 s`,
  });
});

it("says that a host gets less, and in passing that it gets more again", () => {
  expect(eventMessage({ type: "throttle", host, limit: 2, previous: 4 })).toEqual({
    level: "info",
    text: `${host} wants to be asked less: 2 requests at once, until it answers better`,
  });
  expect(eventMessage({ type: "throttle", host, limit: 1, previous: 2 })?.text).toContain("one request at once");
  expect(eventMessage({ type: "throttle", host, limit: 2, previous: 1 })).toEqual({
    level: "verbose",
    text: `${host}: 2 requests at once again`,
  });
});
