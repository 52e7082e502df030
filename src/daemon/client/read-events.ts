/** Server-sent events (WHATWG HTML §9.2.6) of a body, as far as the daemon writes them: `event` and `data`, ended by an empty line. */
import { VarveError } from "../../errors/varve-error.ts";

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
}

/** The result of a large job has some MB. */
const MOST_CHARACTERS = 64 * 1024 * 1024;

export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const events = rest.split(/\r\n\r\n|\n\n|\r\r/);
      rest = events.pop() ?? "";
      if (rest.length > MOST_CHARACTERS) throw new VarveError("DAEMON_UNREACHABLE", "an event has no end");
      for (const text of events) {
        const event = parseEvent(text);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    // Whoever stops listening lets go of the connection.
    await reader.cancel().catch(() => undefined);
  }
}

/** Undefined of comments and of what has no data. */
function parseEvent(text: string): ServerSentEvent | undefined {
  let event = "message";
  const data: string[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, field = "", value = ""] = /^([^:]+)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n") };
}
