/** The commands that exist. Each is loaded when it is used, so that one does not pay for the others at start-up. */
import type { Command } from "./command.ts";

export interface CommandEntry {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  load(): Promise<Command>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "pull",
    summary: "get images into the store, each layer checked down to its content",
    load: async () => (await import("./commands/pull.ts")).pullCommand,
  },
  {
    name: "push",
    summary: "send an image to a registry, only what is not there yet",
    load: async () => (await import("./commands/push.ts")).pushCommand,
  },
  {
    name: "copy",
    alias: "cp",
    summary: "copy an image between the store, registries, layouts and archives",
    load: async () => (await import("./commands/copy.ts")).copyCommand,
  },
  {
    name: "convert",
    summary: "make the same image with its layers compressed another way",
    load: async () => (await import("./commands/convert.ts")).convertCommand,
  },
  {
    name: "images",
    summary: "list the store's images",
    load: async () => (await import("./commands/images.ts")).imagesCommand,
  },
  {
    name: "inspect",
    summary: "show an image",
    load: async () => (await import("./commands/inspect.ts")).inspectCommand,
  },
  {
    name: "tag",
    summary: "give an image another name",
    load: async () => (await import("./commands/tag.ts")).tagCommand,
  },
  {
    name: "rm",
    summary: "remove images from the store",
    load: async () => (await import("./commands/rm.ts")).rmCommand,
  },
  {
    name: "unpack",
    summary: "write an image's root filesystem to a directory",
    load: async () => (await import("./commands/unpack.ts")).unpackCommand,
  },
  {
    name: "diff",
    summary: "tell what a snapshot or an image's last layer changed",
    load: async () => (await import("./commands/diff.ts")).diffCommand,
  },
  {
    name: "commit",
    summary: "make a new image of what was written to a snapshot",
    load: async () => (await import("./commands/commit.ts")).commitCommand,
  },
  {
    name: "mount",
    summary: "mount an image or a snapshot at a directory",
    load: async () => (await import("./commands/mount.ts")).mountCommand,
  },
  {
    name: "umount",
    summary: "end a mount; what was written is kept",
    load: async () => (await import("./commands/umount.ts")).umountCommand,
  },
  {
    name: "snapshots",
    summary: "the snapshot service, for scripts: ls, prepare, view, commit, mounts, usage, rm",
    load: async () => (await import("./commands/snapshots.ts")).snapshotsCommand,
  },
  {
    name: "disk",
    summary: "virtual machines and their disks: import, export, clone, info, copy",
    load: async () => (await import("./commands/disk.ts")).diskCommand,
  },
  {
    name: "delta",
    summary: "deltas between images, which are images too",
    load: async () => (await import("./commands/delta.ts")).deltaCommand,
  },
  {
    name: "rdiff",
    summary: "deltas between plain files, in the format of librsync: signature, delta, diff, patch",
    load: async () => (await import("./commands/rdiff.ts")).rdiffCommand,
  },
  {
    name: "df",
    summary: "show what the store takes on disk",
    load: async () => (await import("./commands/df.ts")).dfCommand,
  },
  {
    name: "gc",
    summary: "remove from the store what no image and no running process needs",
    load: async () => (await import("./commands/gc.ts")).gcCommand,
  },
  {
    name: "prune",
    summary: "take out images that were not used for long or that make the store too large, then do as gc does",
    load: async () => (await import("./commands/prune.ts")).pruneCommand,
  },
  {
    name: "fsck",
    summary: "check that the store is what it says, and mend it",
    load: async () => (await import("./commands/fsck.ts")).fsckCommand,
  },
  {
    name: "serve",
    summary: "run the daemon: a registry and mirror, an API, jobs, metrics and a page",
    load: async () => (await import("./commands/serve.ts")).serveCommand,
  },
  {
    name: "worker",
    summary: "make deltas that a shared queue of jobs asks for",
    load: async () => (await import("./commands/worker.ts")).workerCommand,
  },
  {
    name: "login",
    summary: "log in to a registry",
    load: async () => (await import("./commands/login.ts")).loginCommand,
  },
  {
    name: "logout",
    summary: "forget the credentials of a registry",
    load: async () => (await import("./commands/logout.ts")).logoutCommand,
  },
  {
    name: "completion",
    summary: "print a completion script for a shell",
    load: async () => (await import("./commands/completion.ts")).completionCommand,
  },
  {
    name: "version",
    summary: "print the version",
    load: async () => (await import("./commands/version.ts")).versionCommand,
  },
];
