/** The process of {@link ./shaped-link.ts}; ends with the channel to it. */
import { connect, createServer, type Socket } from "node:net";
import { listen } from "../../../test/kit/net/listen.ts";
import { FairLine, type Lane } from "./fair-line.ts";
import type { FromLink, LinkSetup } from "./shaped-link.ts";

/** Bytes of one connection that wait for the line, and that its client has not read. */
const WINDOW = 256 << 10;
const REQUEST = " HTTP/1.";

const send = (message: FromLink): void => void process.send?.(message);
const passed = { bytes: 0, requests: 0, connections: 0 };

process.once("message", (setup: LinkSetup) => void serve(setup));

async function serve({ target, bitsPerSecond = Infinity, roundTripMs = 0 }: LinkSetup): Promise<void> {
  const line = new FairLine(bitsPerSecond, roundTripMs / 2);
  const [hostname = "", port] = target.split(":");
  const server = createServer({ noDelay: true }, (client) => {
    passed.connections++;
    const origin = connect({ host: hostname, port: Number(port), noDelay: true });
    const close = () => {
      client.destroy();
      origin.destroy();
    };
    client.on("error", close).on("close", close);
    origin.on("error", close);
    passUp(client, origin, roundTripMs);
    passDown(origin, client, line);
  });
  const listening = await listen(server);
  process.on("message", () => {
    send({ passed: { ...passed } });
    Object.assign(passed, { bytes: 0, requests: 0, connections: 0 });
  });
  send({ host: listening.host });
  await new Promise((resolve) => process.once("disconnect", resolve));
  process.exit();
}

/** Requests, which are small: only late. The first one waits for the connection to be made over the same way. */
function passUp(client: Socket, origin: Socket, roundTripMs: number): void {
  const connectedAt = performance.now() + roundTripMs;
  let tail = "";
  const late = (act: () => void) => {
    const ms = Math.max(0, connectedAt - performance.now()) + roundTripMs / 2;
    if (ms === 0) act();
    else setTimeout(act, ms);
  };
  client.on("data", (bytes: Buffer) => {
    const text = tail + bytes.toString("latin1");
    passed.requests += text.split(REQUEST).length - 1;
    tail = text.slice(1 - REQUEST.length);
    late(() => origin.destroyed || origin.write(bytes));
  });
  client.on("end", () => late(() => origin.end()));
}

function passDown(origin: Socket, client: Socket, line: FairLine): void {
  const settle = () => {
    if (lane.bytes + client.writableLength < WINDOW) origin.resume();
  };
  const lane: Lane = { to: client, waiting: [], bytes: 0, ended: false, onRoom: settle };
  client.on("drain", settle);
  origin.on("data", (bytes: Buffer) => {
    passed.bytes += bytes.length;
    lane.waiting.push(bytes);
    lane.bytes += bytes.length;
    if (lane.bytes + client.writableLength >= WINDOW) origin.pause();
    line.wake(lane);
  });
  origin.on("end", () => {
    lane.ended = true;
    line.wake(lane);
  });
}
