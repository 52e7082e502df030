/**
 * Server-sent events out of a stream of bytes (WHATWG HTML §9.2.6). The browser's own EventSource cannot send a token, so it is not used. Only
 * the data is of interest: each event says in it what it is.
 */

/** An event of the daemon is some kilobytes; a job's result with its layers may be a few hundred. */
const MOST_CHARACTERS = 16 << 20;

/** The data of each event; `undefined` for heartbeats, which tell that the other side lives. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncIterable<string | undefined> {
  let rest = "";
  let data: string[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > MOST_CHARACTERS) throw new Error("an event is too large");
    // A CR at the end may be half of a line's end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith(":")) yield undefined;
      else if (line.startsWith("data:")) data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
    }
  }
}
