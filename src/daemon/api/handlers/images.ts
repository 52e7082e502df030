/** `/v1/images` */
import { imageStrata } from "../../../transfer/image-strata.ts";
import { inspectImage, listImages, removeImages, tagImage } from "../../../transfer/images.ts";
import type { Handlers } from "../call.ts";
import { heldWord } from "../held-word.ts";
import { pageOf } from "../pages.ts";

export const imageHandlers: Handlers<"listImages" | "getImage" | "removeImage" | "getStrata" | "tagImage"> = {
  async listImages({ query, context }) {
    const { rows, next } = pageOf(await listImages(await context()), query, ({ name }) => name);
    return { images: rows, next };
  },
  getImage: async ({ params, context }) => inspectImage(await context(), heldWord(params.name)),
  removeImage: async ({ params, lastingContext }) => removeImages(await lastingContext(), [heldWord(params.name)]),
  getStrata: async ({ params, context }) => imageStrata(await context(), heldWord(params.name)),
  async tagImage({ params, body, lastingContext }) {
    const { name, descriptor } = await tagImage(await lastingContext(), heldWord(params.name), body.name);
    return { name, digest: descriptor.digest };
  },
};
