import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { open, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { canSendToSocket, isInMemory, sendToSocket } from "./file-to-socket.ts";
import { withoutFfi } from "./libc.ts";

const MIB = 1 << 20;

interface Pair extends Disposable {
  /** Of the side that sends. */
  readonly fd: number;
  readonly sender: Socket;
  readonly receiver: Socket;
}

async function connected(): Promise<Pair> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
  const [sender] = (await once(server, "connection")) as [Socket];
  const { fd } = (sender as unknown as { _handle: { fd: number } })._handle;
  const dispose = (): void => {
    sender.destroy();
    receiver.destroy();
    server.close();
  };
  return { fd, sender, receiver, [Symbol.dispose]: dispose };
}

describe.runIf(canSendToSocket())("from a file to a socket", () => {
  it("goes as much as there is room for, from where it was told", async () => {
    await using dir = await tempDir();
    const content = randomBytes(16 * MIB);
    await writeFile(join(dir.path, "f"), content);
    await using file = await open(join(dir.path, "f"));
    using pair = await connected();
    const start = 123_457;
    let sent = 0;
    for (let more = 1; more > 0; sent += more) more = sendToSocket(pair.fd, file.fd, start + sent, MIB);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(content.length - start);
    pair.sender.end();
    const received = Buffer.concat((await pair.receiver.toArray()) as Buffer[]);
    expect(received.equals(content.subarray(start, start + sent))).toBe(true);
  });

  it("sends nothing beyond the file's end, and nothing where two things cannot be joined", async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, "f"), "hello");
    await using file = await open(join(dir.path, "f"));
    using pair = await connected();
    expect(sendToSocket(pair.fd, file.fd, 5, 10)).toBe(0);
    expect(sendToSocket(pair.fd, file.fd, 2, 10)).toBe(3);
    expect(sendToSocket(-1, file.fd, 0, 5)).toBe(0);
    expect(sendToSocket(pair.fd, -1, 0, 5)).toBe(0);
  });

  it("knows what is in memory, and says no beyond the end and where there is no file", async () => {
    await using file = await open(process.execPath);
    const { size } = await file.stat();
    await file.read(Buffer.alloc(1), 0, 1, 0);
    expect(isInMemory(file.fd, size)).toBe(false);
    expect(isInMemory(-1, 0)).toBe(false);
  });
});

it("nothing of it without foreign calls", () => {
  using _ = withoutFfi();
  expect(canSendToSocket()).toBe(false);
});
