/** A configuration of which only what differs is said. */
import type { DaemonConfig } from "./types.ts";

type Section<T> = T extends readonly unknown[] | null | string | boolean ? T : Partial<T>;

/** Keys of a table that are left out stay as they are. */
export type ConfigChanges = { readonly [Key in keyof DaemonConfig]?: Section<DaemonConfig[Key]> };

export function withChanges(config: DaemonConfig, changes: ConfigChanges): DaemonConfig {
  const changed = Object.entries(changes).map(([key, value]): [string, unknown] => {
    const before: unknown = config[key as keyof DaemonConfig];
    return [key, isTable(value) && isTable(before) ? { ...before, ...value } : value];
  });
  return { ...config, ...(Object.fromEntries(changed) as Partial<DaemonConfig>) };
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
