import { array, assert, asyncProperty, boolean } from "fast-check";
import { describe, expect, it } from "vitest";
import { manualClock, settle } from "../../../test/kit/http/manual-clock.ts";
import type { TransportEvent } from "../blob-source.ts";
import { HostGates, IDLE_MS, RAISE_MS, type Admission } from "./host-gates.ts";

const HOST = "registry.example";

function setUp(connections = 10) {
  const clock = manualClock();
  const gates = new HostGates({ connections, clock });
  const events: TransportEvent[] = [];
  const inside: Admission[] = [];
  const onEvent = (event: TransportEvent): void => void events.push(event);
  return {
    clock,
    gates,
    events,
    inside,
    limits: () => events.flatMap((event) => (event.type === "throttle" ? [event.limit] : [])),
    /** Asks to be let in; whether it was shows in `inside`. */
    ask: async (count = 1, host = HOST): Promise<void> => {
      for (let asked = 0; asked < count; asked++) {
        void gates.enter(host, { onEvent }).then((admission) => inside.push(admission));
      }
      await settle();
    },
    /** Somebody comes, is let in, and is refused. */
    lower: async (): Promise<void> => {
      const admission = await gates.enter(HOST, { onEvent });
      admission.throttled();
      admission.leave();
    },
  };
}

describe("a host's gate", () => {
  it("lets as many in as there may be connections, until the host complains", async () => {
    const { ask, inside, events } = setUp(4);
    await ask(100);
    expect(inside).toHaveLength(4);
    expect(events).toEqual([]);
  });

  it("halves what the host had at once, and tells", async () => {
    const { ask, inside, events } = setUp(10);
    await ask(6);
    inside[0]?.throttled();
    expect(events).toEqual([{ type: "throttle", host: HOST, limit: 3, previous: 10 }]);
    await ask(2);
    expect(inside).toHaveLength(6);
    for (const admission of inside.slice(0, 3)) admission.leave();
    await settle();
    expect(inside).toHaveLength(6);
    inside[3]?.leave();
    await settle();
    expect(inside).toHaveLength(7);
  });

  it("takes the complaints of one wave as one, and never goes below one", async () => {
    const { ask, inside, limits, lower } = setUp(8);
    await ask(8);
    for (const admission of inside) admission.throttled();
    expect(limits()).toEqual([4]);
    for (const admission of inside) admission.leave();
    await ask(4);
    for (const admission of inside.slice(8)) admission.throttled();
    for (const admission of inside.slice(8)) admission.leave();
    for (let more = 0; more < 5; more++) await lower();
    expect(limits()).toEqual([4, 2, 1]);
    await ask();
    expect(inside).toHaveLength(13);
  });

  it("is each host's own", async () => {
    const { ask, inside, lower } = setUp();
    await lower();
    await ask(3, "other.example");
    expect(inside).toHaveLength(3);
  });

  it("allows one more after each while of success, up to where it began", async () => {
    const { ask, inside, limits, clock, lower } = setUp(4);
    await lower();
    await ask(9);
    expect(inside).toHaveLength(1);
    for (let step = 0; step < 3; step++) {
      await clock.advance(RAISE_MS - 1);
      inside[0]?.resume();
      expect(limits()).toHaveLength(step + 1);
      await clock.advance(1);
      inside[0]?.resume();
      await settle();
    }
    expect(limits()).toEqual([1, 2, 3, 4]);
    expect(inside).toHaveLength(4);
    await clock.advance(RAISE_MS);
    inside[0]?.resume();
    expect(limits()).toHaveLength(4);
  });

  it("begins the while anew with each complaint", async () => {
    const { ask, inside, limits, clock, lower } = setUp(4);
    await lower();
    await ask();
    await clock.advance(RAISE_MS - 1);
    inside[0]?.throttled();
    await clock.advance(RAISE_MS - 1);
    inside[0]?.resume();
    expect(limits()).toEqual([1]);
  });

  it("serves in the order of coming, and tells how long that took", async () => {
    const { gates, clock, lower } = setUp();
    await lower();
    const order: number[] = [];
    const queued: number[] = [];
    const first = await gates.enter(HOST);
    for (const name of [1, 2, 3]) {
      const onEvent = (event: TransportEvent): void => void (event.type === "queued" && queued.push(event.ms));
      const come = async (): Promise<void> => {
        const admission = await gates.enter(HOST, { onEvent });
        order.push(name);
        setImmediate(() => admission.leave());
      };
      void come();
    }
    await clock.advance(700);
    first.leave();
    for (let turn = 0; turn < 10; turn++) await settle();
    expect(order).toEqual([1, 2, 3]);
    expect(queued).toEqual([700, 700, 700]);
  });

  it("lets go of whoever gives up waiting", async () => {
    const { ask, inside, gates, lower } = setUp();
    await lower();
    await ask();
    const controller = new AbortController();
    const waiting = gates.enter(HOST, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(gates.enter(HOST, { signal: controller.signal })).rejects.toThrow("enough");
    await ask();
    inside[0]?.leave();
    await settle();
    expect(inside).toHaveLength(2);
  });

  it("counts leaving once", async () => {
    const { ask, inside, lower } = setUp();
    await lower();
    await ask(3);
    inside[0]?.leave();
    inside[0]?.leave();
    await settle();
    expect(inside).toHaveLength(2);
  });
});

describe("a body that nobody reads", () => {
  it("holds nobody up for longer than a moment: its reader may be waiting for the very request behind it", async () => {
    const { ask, inside, clock, lower } = setUp();
    await lower();
    await ask(2);
    inside[0]?.pause();
    await settle();
    expect(inside).toHaveLength(1);
    await clock.advance(IDLE_MS);
    expect(inside).toHaveLength(2);
    // Its reader comes back, and does not have to queue for what it has begun.
    inside[0]?.resume();
    await ask();
    inside[1]?.leave();
    await settle();
    expect(inside).toHaveLength(2);
    inside[0]?.leave();
    await settle();
    expect(inside).toHaveLength(3);
  });

  it("was put aside before anybody waited, or again and again: nobody is forgotten", async () => {
    const { ask, inside, clock, lower } = setUp();
    await lower();
    await ask();
    inside[0]?.pause();
    await ask();
    await clock.advance(IDLE_MS / 2);
    inside[0]?.resume();
    await clock.advance(IDLE_MS);
    expect(inside).toHaveLength(1);
    inside[0]?.pause();
    await clock.advance(IDLE_MS - 1);
    expect(inside).toHaveLength(1);
    await clock.advance(1);
    expect(inside).toHaveLength(2);
    expect(clock.sleeping).toBe(0);
  });

  it("that is being read, however slowly, still counts", async () => {
    const { ask, inside, clock, lower } = setUp();
    await lower();
    await ask(2);
    await clock.advance(3600_000);
    expect(inside).toHaveLength(1);
  });
});

describe("whatever happens", () => {
  it("everybody gets in, although each holds a body unread while it waits for the next", async () => {
    await assert(
      asyncProperty(
        array(array(boolean(), { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 }),
        async (readers) => {
          const { gates, clock, lower } = setUp(4);
          await lower();
          let finished = 0;
          for (const refusals of readers) {
            void (async () => {
              const held: Admission[] = [];
              for (const refused of refusals) {
                const admission = await gates.enter(HOST);
                if (refused) admission.throttled();
                held.push(admission);
                admission.pause();
              }
              for (const admission of held) admission.leave();
              finished++;
            })();
          }
          for (let second = 0; second < 60 && finished < readers.length; second++) await clock.advance(IDLE_MS);
          expect(finished).toBe(readers.length);
        },
      ),
      { numRuns: 50 },
    );
  });
});
