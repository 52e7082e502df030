/**
 * A file of the store that is there to be removed: on a disk without any room even giving space back needs some, for the database's log
 * and for index.json. Commands that free space let go of it first and make it again when they have.
 */
import { randomBytes } from "node:crypto";
import { rm, stat, writeFile } from "node:fs/promises";
import { freeSpace } from "../sys/free-space.ts";
import type { StoreLayout } from "./layout.ts";

/** Several times what SQLite's log and the index of a thousand images take. */
const RESERVE_BYTES = 1 << 20;
/** A reserve must not be what fills a small disk. */
const SHARE = 16;

/** Makes the reserve where it is missing and room is ample. It is a help, never a need: failing is no error. */
export async function keepReserve({ root, reserve }: StoreLayout): Promise<void> {
  try {
    if ((await stat(reserve).catch(() => undefined))?.size === RESERVE_BYTES) return;
    const free = await freeSpace(root);
    if (free !== undefined && free < RESERVE_BYTES * SHARE) return;
    // Random, because file systems that compress would give zeros no room.
    await writeFile(reserve, randomBytes(RESERVE_BYTES), { mode: 0o600 });
  } catch {
    await rm(reserve, { force: true }).catch(() => undefined);
  }
}

/** Gives the reserve up when there is less room than it takes. */
export async function useReserve({ root, reserve }: StoreLayout): Promise<void> {
  const free = await freeSpace(root).catch(() => undefined);
  if (free !== undefined && free < RESERVE_BYTES) await rm(reserve, { force: true }).catch(() => undefined);
}
