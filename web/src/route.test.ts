import { expect, it } from "vitest";
import { href, parseRoute } from "./route.ts";

it("takes addresses apart that it has made, whatever an image is called", () => {
  for (const subject of ["localhost:5000/team/app:1", "a/b@sha256:cc", "100%/#?&=ä"]) {
    expect(parseRoute(href("updates", subject))).toEqual({ view: "updates", subject });
  }
  expect(parseRoute(href("disk"))).toEqual({ view: "disk", subject: undefined });
});

it("shows the images where an address makes no sense", () => {
  for (const hash of ["", "#", "#/", "#/nothing", "#/nothing/x", "#main"]) {
    expect(parseRoute(hash)).toEqual({ view: "images", subject: undefined });
  }
  expect(parseRoute("#/jobs/%zz")).toEqual({ view: "jobs", subject: "%zz" });
});
