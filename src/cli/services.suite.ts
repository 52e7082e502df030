/** Use cases that do what a test says, and the results they give. */
import { digestOf } from "../oci/digest.ts";
import { noBytes } from "../recipe/bytes.ts";
import type { PullResult } from "../transfer/pull-result.ts";
import { FakeHost, type FakeHostOptions } from "./host.suite.ts";
import { run } from "./run.ts";
import type { Run, Services } from "./services.ts";
import type { Settings } from "./settings.ts";

export interface Finished {
  readonly host: FakeHost;
  readonly code: number;
  readonly settings: Settings | undefined;
}

/** Runs a command line on fake use cases; those that are not given must not be called. */
export async function runWith(
  args: readonly string[],
  services: Partial<Services> | ((run: Run, host: FakeHost) => Partial<Services>) = {},
  options: FakeHostOptions = {},
): Promise<Finished> {
  const host = new FakeHost({ ...options, args });
  let settings: Settings | undefined;
  const code = await run(host, (given, bound) => {
    settings = given;
    return fakeServices(typeof services === "function" ? services(bound, host) : services);
  });
  return { host, code, settings };
}

function fakeServices(given: Partial<Services>): Services {
  return {
    pull: unexpected("pull"),
    unpack: unexpected("unpack"),
    pushImage: unexpected("pushImage"),
    copyImage: unexpected("copyImage"),
    convertImage: unexpected("convertImage"),
    applyDeltaImage: unexpected("applyDeltaImage"),
    composeDeltas: unexpected("composeDeltas"),
    createDelta: unexpected("createDelta"),
    inspectDelta: unexpected("inspectDelta"),
    copyDisk: unexpected("copyDisk"),
    serve: unexpected("serve"),
    work: unexpected("work"),
    rdiffSignature: unexpected("rdiffSignature"),
    rdiffDelta: unexpected("rdiffDelta"),
    rdiffDiff: unexpected("rdiffDiff"),
    rdiffPatch: unexpected("rdiffPatch"),
    exportMachine: unexpected("exportMachine"),
    exportDisk: unexpected("exportDisk"),
    diskInformation: unexpected("diskInformation"),
    cloneMachine: unexpected("cloneMachine"),
    importDisk: unexpected("importDisk"),
    listImages: unexpected("listImages"),
    inspectImage: unexpected("inspectImage"),
    rawDocument: unexpected("rawDocument"),
    tagImage: unexpected("tagImage"),
    removeImages: unexpected("removeImages"),
    diffSnapshot: unexpected("diffSnapshot"),
    saveDiff: unexpected("saveDiff"),
    commitImage: unexpected("commitImage"),
    mountImage: unexpected("mountImage"),
    unmountImage: unexpected("unmountImage"),
    listSnapshots: unexpected("listSnapshots"),
    listDrivers: unexpected("listDrivers"),
    prepareSnapshot: unexpected("prepareSnapshot"),
    commitSnapshot: unexpected("commitSnapshot"),
    snapshotMounts: unexpected("snapshotMounts"),
    snapshotUsage: unexpected("snapshotUsage"),
    removeSnapshots: unexpected("removeSnapshots"),
    diskUsage: unexpected("diskUsage"),
    collectGarbage: unexpected("collectGarbage"),
    prune: unexpected("prune"),
    checkStore: unexpected("checkStore"),
    checkLogin: unexpected("checkLogin"),
    storeCredentials: unexpected("storeCredentials"),
    eraseCredentials: unexpected("eraseCredentials"),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...given,
  };
}

const unexpected = (name: string) => () => Promise.reject(new Error(`${name} was not expected`));

export const IMAGE = digestOf("image");

export function pullResult(reference: string, more: Partial<PullResult> = {}): PullResult {
  const bytes = { ...noBytes(), network: 1_500_000 };
  const layer = {
    digest: digestOf("layer"),
    diffId: digestOf("diff"),
    mediaType: "t",
    size: 1_500_000,
    requests: 1,
    fallbacks: [],
    unpack: null,
  };
  return {
    reference,
    digest: IMAGE,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    platform: "linux/amd64",
    imageId: digestOf("config"),
    chainId: digestOf("chain"),
    status: "pulled",
    snapshotter: null,
    bytes: { ...bytes, total: 1_500_000 },
    requests: 3,
    retries: 0,
    resumedBytes: 0,
    durationMs: 1234,
    peakRssBytes: 50_000_000,
    layers: [{ ...layer, how: "full", bytes }],
    warnings: [],
    ...more,
  };
}
