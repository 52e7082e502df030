/** The conformance suite, against whatever here speaks the distribution protocol and against a docker-registry. */
import { describe } from "vitest";
import { serveStore } from "../../kit/daemon/serve-store.ts";
import { startDockerRegistry } from "../../kit/peers/docker-registry.ts";
import { findPeer, peersRequired } from "../../kit/peers.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { distributionConformance } from "./conformance.suite.ts";

describe("a store's repositories", () => {
  distributionConformance(serveStore);
});

describe("the test kit's registry", () => {
  distributionConformance(startRegistry, { sparseIndexes: false });
});

describe.skipIf(findPeer("docker-registry") === undefined && !peersRequired)("docker-registry", () => {
  // What distribution 2.8 leaves out.
  distributionConformance(() => startDockerRegistry(), {
    anonymousMount: false,
    chunkOrder: false,
    referrers: false,
    sha512: false,
    singlePost: false,
    sparseIndexes: false,
    strictManifests: false,
    strictPaths: false,
    tagDelete: false,
    tagParameters: false,
    tagPaging: false,
    unsatisfiableRanges: false,
  });
});
