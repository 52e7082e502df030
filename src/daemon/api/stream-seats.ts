/** How many streams of events may be open: each holds a connection for hours, and a place in the feed. */
import { VarveError } from "../../errors/varve-error.ts";

export interface StreamSeats {
  /** @throws VarveError `TOO_MANY_REQUESTS` */
  take(client: string): Disposable;
}

export interface SeatLimits {
  readonly perClient: number;
  readonly inAll: number;
}

/** A page has one or two; a machine may have many pages and scripts. */
const LIMITS: SeatLimits = { perClient: 64, inAll: 512 };

export function streamSeats(limits: SeatLimits = LIMITS): StreamSeats {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take(client) {
      const own = taken.get(client) ?? 0;
      if (own >= limits.perClient || all >= limits.inAll) {
        const whose = own >= limits.perClient ? "of this client" : "in all";
        throw new VarveError("TOO_MANY_REQUESTS", `there are ${own} streams of events open ${whose}`, {
          hint: "close some of them; /v1/events follows all jobs at once",
        });
      }
      taken.set(client, own + 1);
      all++;
      return {
        [Symbol.dispose]: once(() => {
          all--;
          const left = (taken.get(client) ?? 1) - 1;
          if (left === 0) taken.delete(client);
          else taken.set(client, left);
        }),
      };
    },
  };
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}
