/** Speed over time. The library that draws it is fetched when the first chart is shown; the figures stand beside it in words. */
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { formatRate } from "../model/format.ts";
import type { SpeedPoint } from "../model/speed.ts";

const HEIGHT = 170;

export function SpeedChart({ points }: { readonly points: readonly SpeedPoint[] }) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const latest = useRef(points);
  latest.current = points;
  const isShown = points.length > 1;

  useEffect(() => {
    if (!isShown) return;
    let isGone = false;
    const cleanups: (() => void)[] = [];
    const open = async (): Promise<void> => {
      const { openPlot } = await import("./speed-plot.ts");
      if (isGone || place.current === null) return;
      const { plot, close } = openPlot(place.current, columns(latest.current), HEIGHT);
      chart.current = plot;
      cleanups.push(close);
    };
    void open();
    return () => {
      isGone = true;
      chart.current = undefined;
      for (const cleanup of cleanups) cleanup();
    };
  }, [isShown]);
  useEffect(() => chart.current?.setData(columns(points)), [points.length]);

  const last = points.at(-1);
  if (!isShown || last === undefined) return null;
  const peak = Math.max(...points.map(({ network }) => network));
  return (
    <figure class="speed">
      <figcaption>
        Speed <span class="key key-network">network</span> <span class="key key-done">bytes of the image</span>
      </figcaption>
      <div
        ref={place}
        class="speed-plot"
        role="img"
        aria-label={`Speed over time: ${formatRate(last.network)} over the network now, ${formatRate(peak)} at most`}
      />
    </figure>
  );
}

function columns(points: readonly SpeedPoint[]): [number[], number[], number[]] {
  return [points.map(({ at }) => at), points.map(({ network }) => network), points.map(({ done }) => done)];
}
