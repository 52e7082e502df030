/** `varve df` */
import type { DiskUsage } from "../../transfer/disk-usage.ts";
import type { Command } from "../command.ts";
import { renderDiskUsage } from "../print/disk-usage.ts";

export const dfCommand: Command<DiskUsage> = {
  arguments: [],
  flags: [],

  run: ({ services }) => services.diskUsage(),

  render: renderDiskUsage,
};
