/** Jobs in words. */
import type { Job, JobKind, JobState } from "../api/types.ts";
import { formatBytes, formatDuration, formatShare } from "../model/format.ts";

export const KIND_NAMES: Readonly<Record<JobKind, string>> = {
  pull: "Pull",
  delta: "Delta",
  gc: "Collection",
  fsck: "Check",
};

export const STATE_NAMES: Readonly<Record<JobState, string>> = {
  queued: "waiting its turn",
  running: "running",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

/** What it is about. */
export function subjectOf(job: Job): string {
  switch (job.kind) {
    case "pull":
      return job.input.reference;
    case "delta":
      return `${job.input.base} → ${job.input.target}`;
    case "gc":
      return job.input.dryRun === true ? "what could be freed" : "what nothing needs";
    case "fsck":
      return job.input.images?.join(", ") ?? "the whole store";
  }
}

/** What came of it, in a sentence; undefined while nothing has. */
export function outcomeOf(job: Job): string | undefined {
  if (job.error !== null) return job.error.message;
  switch (job.kind) {
    case "pull": {
      if (job.result === null) return undefined;
      const { status, bytes, durationMs, retries } = job.result;
      if (status === "up-to-date") return "It was here already, nothing had to be moved.";
      const tries = retries === 0 ? "" : `, ${retries} of the requests were repeated`;
      const whole = job.result.layers.reduce((sum, { size }) => sum + size, 0);
      return `${formatBytes(bytes.network)} came over the network for an image of ${formatBytes(whole)} (${formatShare(bytes.network, whole)}), in ${formatDuration(durationMs)}${tries}.`;
    }
    case "delta": {
      if (job.result === null) return undefined;
      const { deltaBlobBytes, blobBytes, helps, durationMs } = job.result;
      if (!helps) return "No layer gains by a delta.";
      return `${formatBytes(deltaBlobBytes)} instead of ${formatBytes(blobBytes)} (${formatShare(deltaBlobBytes, blobBytes)}), made in ${formatDuration(durationMs)}.`;
    }
    case "gc": {
      if (job.result === null) return undefined;
      const { freedBytes, dryRun } = job.result;
      if (freedBytes === 0) return "There was nothing to free.";
      return `${formatBytes(freedBytes)} ${dryRun ? "could be" : "were"} freed.`;
    }
    case "fsck": {
      if (job.result === null) return undefined;
      const { sound, findings, checked } = job.result;
      const errors = findings.filter(({ severity, repaired }) => severity === "error" && repaired !== true).length;
      return `${checked.blobs} blobs, ${formatBytes(checked.bytes)}: ${sound ? "all is as it should be" : `${errors} of them are not as they should be`}.`;
    }
  }
}
