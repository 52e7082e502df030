/** Bounds how many requests of a route are worked on at once: some read the whole store, or copy a disk. */
import { VarveError } from "../../errors/varve-error.ts";
import type { RouteSpec } from "./schemas/routes.ts";

export interface Turns {
  /** @throws VarveError `TOO_MANY_REQUESTS` when as many as may are at work */
  take(): Disposable;
}

export function turnsOf({ atOnce = Number.POSITIVE_INFINITY, summary }: Pick<RouteSpec, "atOnce" | "summary">): Turns {
  let taken = 0;
  return {
    take() {
      if (taken >= atOnce) {
        throw new VarveError("TOO_MANY_REQUESTS", `${atOnce} such requests are at work already: ${summary}`, {
          hint: "ask again when one of them has been answered",
        });
      }
      taken++;
      return {
        [Symbol.dispose]: () => {
          taken--;
        },
      };
    },
  };
}
