/** `varve delta apply DELTA` */
import type { ApplyDeltaOptions } from "../../../transfer/deltas/apply-delta.ts";
import type { PullResult } from "../../../transfer/pull-result.ts";
import { DELTA_ROOT_FLAGS, deltaRootsOf } from "../../delta-flags.ts";
import { renderPull } from "../../print/pull.ts";
import type { Action } from "../actions/action.ts";

export const applyAction: Action<PullResult> = {
  name: "apply",
  usage: "apply DELTA [-t NAME:TAG] [--no-unpack] [--delta-root DIR]",
  words: [1, 1],
  completes: () => "place",
  flags: [
    { flags: "-t, --tag <name>", summary: "what is made is called in the store", completes: "image" },
    { flags: "--no-unpack", summary: "make the layers only, and do not unpack them" },
    ...DELTA_ROOT_FLAGS,
  ],
  notes: [
    "apply makes the target of a delta image that is in the store, a layout or an archive (oci:, oci-archive:, docker-archive:), as a pull of it would; -t then " +
      "names the target, which is called delta:target-ID otherwise.",
  ],
  examples: ["varve delta apply docker-archive:update.tar -t app:v2", "varve delta apply app:v1-v2 -t app:v2"],

  async run({ args, flags, settings, services }) {
    const [name = ""] = args;
    const { tag } = flags;
    const options: ApplyDeltaOptions = {
      unpack: flags["unpack"] !== false,
      deltaRoots: deltaRootsOf(flags, settings),
      ...(typeof tag === "string" && { tag }),
      ...(settings.platform && { platform: settings.platform }),
      ...(settings.concurrency !== undefined && { concurrency: settings.concurrency }),
    };
    // Its warnings came as events.
    return services.applyDeltaImage(name, options);
  },

  render: renderPull,
};
