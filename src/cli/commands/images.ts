/** `varve images` */
import type { ImageRow } from "../../transfer/images.ts";
import type { Command } from "../command.ts";
import { type Column, formatTable } from "../print/table.ts";
import { formatAge, formatBytes, shortDigest } from "../print/units.ts";
import { sanitize } from "../print/sanitize.ts";

export const imagesCommand: Command<readonly ImageRow[]> = {
  arguments: [],
  flags: [],
  examples: ["varve images", "varve images --json", "varve rm $(varve images -q)"],

  run: ({ services }) => services.listImages(),

  render(rows, { quiet, now }) {
    if (quiet) return rows.map((row) => `${sanitize(row.name)}\n`).join("");
    const columns: readonly Column<ImageRow>[] = [
      { title: "IMAGE", value: (row) => row.name },
      { title: "DIGEST", value: (row) => shortDigest(row.digest) },
      { title: "PLATFORM", value: (row) => row.platform ?? "-" },
      { title: "SIZE", value: (row) => formatBytes(row.size), align: "right" },
      { title: "CREATED", value: (row) => formatAge(row.createdAt, now) },
      { title: "PULLED", value: (row) => formatAge(row.pulledAt, now) },
    ];
    return formatTable(columns, rows);
  },
};
