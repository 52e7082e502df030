/** One job followed live: as it is, what its events come to, and its speed over time. Drawn at most ten times a second. */
import { useEffect, useRef, useState } from "preact/hooks";
import { follow } from "../api/follow.ts";
import type { Trouble } from "../api/daemon.ts";
import type { Job } from "../api/types.ts";
import { isFinal, useVisible } from "../live.ts";
import { SpeedSeries } from "../model/speed.ts";
import { JobStory } from "../model/story.ts";

const FRAME_MS = 100;
const SAMPLE_MS = 500;

export interface FollowedJob {
  readonly job: Job | undefined;
  readonly story: JobStory;
  readonly speed: SpeedSeries;
  readonly error: Trouble | undefined;
  /** The daemon is gone; what is shown is from before. */
  readonly isLost: boolean;
}

export function useJob(id: string): FollowedJob {
  const isVisible = useVisible();
  const [, redraw] = useState(0);
  const known = useRef<(FollowedJob & { id: string }) | undefined>(undefined);
  if (known.current?.id !== id) known.current = { id, ...nothing() };
  const set = (change: Partial<FollowedJob>): void => {
    if (known.current?.id === id) known.current = { ...known.current, ...change };
  };

  useEffect(() => {
    if (!isVisible || (known.current?.job !== undefined && isFinal(known.current.job))) return;
    const aborter = new AbortController();
    let frame: ReturnType<typeof setTimeout> | undefined;
    const draw = (): void => {
      frame ??= setTimeout(() => {
        frame = undefined;
        redraw((turn) => turn + 1);
      }, FRAME_MS);
    };
    const { story, speed } = known.current ?? nothing();
    const sample = (): void => {
      const { parts, network } = story.totals();
      // What was here before has not come at any speed.
      const { local, data, zero } = parts;
      speed.sample(Date.now(), { network, done: local + data + zero + parts.network });
    };
    const sampling = setInterval(() => {
      if (known.current?.job?.state !== "running") return;
      sample();
      draw();
    }, SAMPLE_MS);
    void follow(
      id,
      {
        onOpen: () => set({ isLost: false, error: undefined }),
        onLost: () => {
          set({ isLost: true });
          draw();
        },
        onRefused: (error) => {
          set({ error });
          draw();
        },
        onEvent: (event) => {
          if (event.type === "progress") story.apply(event.event, Date.now());
          else {
            set({ job: event.job });
            if (isFinal(event.job)) {
              sample();
              aborter.abort();
              clearInterval(sampling);
            }
          }
          draw();
        },
      },
      aborter.signal,
    );
    return () => {
      aborter.abort();
      clearInterval(sampling);
      clearTimeout(frame);
    };
  }, [id, isVisible]);
  return known.current;
}

function nothing(): FollowedJob {
  return { job: undefined, story: new JobStory(), speed: new SpeedSeries(), error: undefined, isLost: false };
}
