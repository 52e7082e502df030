/** `varve tag IMAGE REF` */
import type { Command } from "../command.ts";
import { sanitize } from "../print/sanitize.ts";

export interface TagData {
  readonly image: string;
  /** In full. */
  readonly reference: string;
  readonly digest: string;
}

export const tagCommand: Command<TagData> = {
  arguments: [
    { name: "<image>", summary: "an image of the store", completes: "image" },
    { name: "<ref>", summary: "its further name", completes: "image" },
  ],
  flags: [],
  examples: ["varve tag debian:12 registry.example/base:2024"],

  async run({ args, services }) {
    const [image = "", reference = ""] = args;
    const { name, descriptor } = await services.tagImage(image, reference);
    return { image, reference: name, digest: descriptor.digest };
  },

  render({ image, reference }, { quiet }) {
    return quiet ? "" : `${sanitize(image)} is now ${sanitize(reference)} too\n`;
  },
};
