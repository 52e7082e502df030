import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { noise } from "../../test/kit/http/test-client.ts";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { UploadTroubles } from "../../test/kit/registry/upload-troubles.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import type { Digest } from "../oci/digest.ts";
import type { BytesProgress, ProgressEvent } from "../recipe/progress.ts";
import { copyImage } from "./copy.ts";

const MIB = 1024 * 1024;

/** A layer of 3 MiB that nothing compresses. */
const image = await buildImage({ layers: [[file("f", noise(3 * MIB))]], compression: "none" });
const { digest, size } = image.layers[0]!.descriptor;

function progressOf(events: readonly ProgressEvent[], blob: Digest): BytesProgress[] {
  return events.filter((event): event is BytesProgress => event.type === "progress" && event.digest === blob);
}

describe("progress of a copy to a registry", () => {
  it("counts what had to be sent again, and ends with all of it there", async () => {
    const context = await transferContext();
    const uploadTroubles = new UploadTroubles({ cuts: [2 * MIB] });
    await using registry = await startRegistry({ quirks: { keepsPartial: false, uploadTroubles } });
    await writeOciLayout(join(context.path, "layout"), image, "v1");
    await copyImage(context, `oci:${context.path}/layout:v1`, `docker://${registry.host}/app:v1`);
    const last = progressOf(context.events, digest).at(-1);
    expect(last).toMatchObject({ done: size, total: size, etaSeconds: 0 });
    expect(last!.sent).toBeGreaterThanOrEqual(size + 2 * MIB);
  });

  it("says what came from one registry and went to the other", async () => {
    const context = await transferContext();
    await using from = await startRegistry();
    await using to = await startRegistry();
    await pushImage(from.host, "app", "v1", image);
    await copyImage(context, `docker://${from.host}/app:v1`, `docker://${to.host}/app:v1`);
    expect(progressOf(context.events, digest).at(-1)).toMatchObject({ done: size, sent: size, network: size });
  });

  it("is what was read where nothing is sent", async () => {
    const context = await transferContext();
    await writeOciLayout(join(context.path, "layout"), image, "v1");
    await copyImage(context, `oci:${context.path}/layout:v1`, `oci:${context.path}/copy:v1`);
    const last = progressOf(context.events, digest).at(-1);
    expect(last).toMatchObject({ done: size, total: size });
    expect(last).not.toHaveProperty("sent");
  });
});
