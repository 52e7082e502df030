/** The drawing of speed over time, in a file of its own because of the library that it brings. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatDuration, formatRate } from "../model/format.ts";

export function openPlot(
  place: HTMLElement,
  data: [number[], number[], number[]],
  height: number,
): { readonly plot: uPlot; readonly close: () => void } {
  const color = (name: string) => () => colorOf(place, name);
  const axis = { stroke: color("muted"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
  const plot = new uPlot(
    {
      width: place.clientWidth,
      height,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: (_plot, _least, most) => [0, Math.max(1, most)] },
        y: { range: (_plot, _least, most) => [0, Math.max(1000, most * 1.1)] },
      },
      series: [
        {},
        { stroke: color("network"), fill: color("network-soft"), width: 2, points: { show: false } },
        { stroke: color("here"), width: 2, dash: [6, 4], points: { show: false } },
      ],
      axes: [
        { ...axis, size: 28, values: (_plot, splits) => splits.map(secondsInWords) },
        { ...axis, size: 74, values: (_plot, splits) => splits.map((rate) => (rate === 0 ? "0" : formatRate(rate))) },
      ],
    },
    data,
    place,
  );
  const observer = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height }));
  observer.observe(place);
  const redraw = (): void => plot.redraw();
  const system = matchMedia("(prefers-color-scheme: dark)");
  window.addEventListener("varve-theme", redraw);
  system.addEventListener("change", redraw);
  return {
    plot,
    close: () => {
      observer.disconnect();
      window.removeEventListener("varve-theme", redraw);
      system.removeEventListener("change", redraw);
      plot.destroy();
    },
  };
}

function secondsInWords(seconds: number): string {
  return seconds < 60 ? `${Number(seconds.toFixed(1))} s` : formatDuration(seconds * 1000);
}

/** A canvas knows no custom properties; an element of a class has the colour as it is in the theme of now. */
function colorOf(place: HTMLElement, name: string): string {
  const probe = document.createElement("i");
  probe.className = `color-${name}`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
