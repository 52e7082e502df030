/** One entry as one line of JSON, byte for byte as Go's encoding/json writes upstream's struct. */
import { encodeName } from "../../sys/path-bytes.ts";
import { goString } from "../go-json.ts";
import type { Crc64 } from "./crc64.ts";
import { FILE_TYPE, SEGMENT_TYPE } from "./entry.ts";

function nameField(name: string): string {
  if (name === "") return "";
  if (name.isWellFormed()) return `"name":${goString(name)},`;
  return `"name_raw":"${encodeName(name).toString("base64")}",`;
}

export function segmentLine(bytes: Buffer, position: number): string {
  return `{"type":${SEGMENT_TYPE},"payload":"${bytes.toString("base64")}","position":${position}}\n`;
}

/** `crc` has taken the whole payload. */
export function fileLine(name: string, size: number, crc: Crc64, position: number): string {
  const sized = size === 0 ? `"payload":null` : `"size":${size},"payload":"${crc.digest().toString("base64")}"`;
  return `{"type":${FILE_TYPE},${nameField(name)}${sized},"position":${position}}\n`;
}
