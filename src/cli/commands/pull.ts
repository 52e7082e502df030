/** `varve pull REF...` */
import { VarveError } from "../../errors/varve-error.ts";
import { parseReference } from "../../oci/reference.ts";
import type { PullResult } from "../../transfer/pull-result.ts";
import type { Command } from "../command.ts";
import { DELTA_FLAG, DELTA_ROOT_FLAGS, deltaModeOf, deltaRootsOf } from "../delta-flags.ts";
import { refuseSeveralRegistries } from "../one-registry.ts";
import { renderPlan, renderPull } from "../print/pull.ts";

/** @throws VarveError `REFERENCE_INVALID`; `USAGE` for a file, whose transport would pass for an image of Docker Hub */
function checkReference(text: string): void {
  if (/^(oci|oci-archive|docker-archive):/.test(text)) {
    throw new VarveError("USAGE", `pull takes images of registries, not ${text}`, {
      hint: `varve copy ${text} NAME gets it into the store`,
    });
  }
  parseReference(text);
}

export const pullCommand: Command<PullResult | readonly PullResult[]> = {
  arguments: [{ name: "<ref...>", summary: "[docker://]HOST[:PORT]/NAME[:TAG][@DIGEST]", completes: "image" }],
  flags: [
    { flags: "--plan", summary: "print what would move and from where, and move nothing" },
    { flags: "--no-unpack", summary: "get the blobs only: layers are neither inflated and checked nor unpacked" },
    DELTA_FLAG,
    ...DELTA_ROOT_FLAGS,
    {
      flags: "--discard-blobs",
      summary: "remove each layer's blob as soon as the layer is unpacked; it is fetched again when it is needed",
    },
    {
      flags: "--no-sync",
      summary:
        "do not wait for the disk: faster, but after a power loss or a crash of the system files of the image may be empty or missing, with nothing to tell it before varve fsck",
    },
    { flags: "--wait", summary: "wait for another process that pulls the same (the default)" },
    { flags: "--no-wait", summary: "fail when another process pulls the same" },
  ],
  examples: [
    "varve pull debian:12",
    "varve pull --plan --json ghcr.io/org/app:v2",
    "varve pull -j 8 --platform linux/arm64 alpine",
  ],
  showsProgress: true,
  keepsProgress: "in the store",

  async run({ args, flags, settings, services }) {
    if (flags["discardBlobs"] === true && (flags["unpack"] === false || settings.unpacking.snapshotter === "none")) {
      throw new VarveError(
        "USAGE",
        "--discard-blobs keeps layers unpacked, and without unpacking nothing would be left",
      );
    }
    const delta = deltaModeOf(flags);
    const deltaRoots = deltaRootsOf(flags, settings);
    if (delta === "always" && flags["unpack"] === false) {
      throw new VarveError("USAGE", "--delta always makes layers that are unpacked, and --no-unpack gets blobs only");
    }
    // A slip in the last name must not be told after the first one's gigabytes.
    for (const reference of args) checkReference(reference);
    refuseSeveralRegistries(settings, args, "pull from one registry at a time, or log in to each with varve login");
    const results: PullResult[] = [];
    for (const reference of args) {
      const result = await services.pull(reference, {
        unpack: flags["unpack"] !== false,
        plan: flags["plan"] === true,
        discardBlobs: flags["discardBlobs"] === true,
        sync: flags["sync"] !== false,
        wait: flags["wait"] !== false,
        ...(delta !== undefined && { delta }),
        ...(deltaRoots.length > 0 && { deltaRoots }),
        ...(settings.platform && { platform: settings.platform }),
        ...(settings.concurrency !== undefined && { concurrency: settings.concurrency }),
      });
      // Its warnings came as events.
      results.push(result);
    }
    const [only] = results;
    return only !== undefined && results.length === 1 ? only : results;
  },

  render(data, view) {
    const results = "reference" in data ? [data] : data;
    return results
      .map((result) => (result.status === "planned" ? renderPlan(result) : renderPull(result, view)))
      .join("");
  },
};
