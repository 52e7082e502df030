/** An image of the kit in a store, as a copy from elsewhere brings it there. */
import { join } from "node:path";
import { copyImage } from "../../../src/transfer/copy.ts";
import type { KitImage } from "../images/build-image.ts";
import { writeOciLayout } from "../images/oci-layout.ts";
import type { TestContext } from "./transfer-context.ts";

export async function holdImage(context: TestContext, name: string, image: KitImage): Promise<KitImage> {
  const layout = join(context.path, "layout");
  await writeOciLayout(layout, image, "new");
  await copyImage(context, `oci:${layout}:new`, name);
  return image;
}
