/** What the daemon tells all views while the page is open: whether it is there, and which jobs have changed. */
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import { follow } from "./api/follow.ts";
import type { Job } from "./api/types.ts";

export type Connection = "connecting" | "live" | "lost" | "refused";

export interface Live {
  readonly connection: Connection;
  /** Grows when what views have asked for may be old: the daemon is back, or a job has ended. */
  readonly generation: number;
  /** Jobs that changed since the page was opened, as they are now. */
  readonly jobs: ReadonlyMap<string, Job>;
}

/** Of jobs that changed; lists show no more. */
const MOST_JOBS = 200;

export const LiveContext = createContext<Live>({ connection: "connecting", generation: 0, jobs: new Map() });

export function useLive(): Live {
  return useContext(LiveContext);
}

export function isFinal({ state }: Pick<Job, "state">): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}

/** @param session changes when the daemon is to be asked anew, with another token */
export function useLiveSource(session: number): Live {
  const isVisible = useVisible();
  const [live, setLive] = useState<Live>({ connection: "connecting", generation: 0, jobs: new Map() });
  useEffect(() => {
    if (!isVisible) return;
    const aborter = new AbortController();
    const connect = (connection: Connection): void => setLive((live) => ({ ...live, connection }));
    void follow(
      undefined,
      {
        onOpen: () => setLive((live) => ({ ...live, connection: "live", generation: live.generation + 1 })),
        onLost: () => connect("lost"),
        onRefused: () => connect("refused"),
        onEvent: (event) => {
          if (event.type === "job") setLive((live) => withJob(live, event.job));
        },
      },
      aborter.signal,
    );
    return () => aborter.abort();
  }, [session, isVisible]);
  return live;
}

function withJob(live: Live, job: Job): Live {
  const jobs = new Map(live.jobs);
  // The newest change last, so that the oldest goes when there are too many.
  jobs.delete(job.id);
  jobs.set(job.id, job);
  const [oldest] = jobs.keys();
  if (jobs.size > MOST_JOBS && oldest !== undefined) jobs.delete(oldest);
  return { ...live, jobs, generation: live.generation + (isFinal(job) ? 1 : 0) };
}

/** Hidden tabs follow nothing: a browser has six connections to a daemon, and each tab that follows keeps one or two. */
export function useVisible(): boolean {
  const [isVisible, setVisible] = useState(() => document.visibilityState !== "hidden");
  useEffect(() => {
    const changed = (): void => setVisible(document.visibilityState !== "hidden");
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, []);
  return isVisible;
}
