/** bcrypt for htpasswd files (the only hash that docker-registry takes), by the C library's crypt(3). */
import { randomBytes } from "node:crypto";
import koffi from "koffi";

const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** A hash of the least cost: the kit keeps no real secrets. */
export function bcrypt(password: string): string {
  const crypt = koffi.load("libcrypt.so.1").func("const char *crypt(const char *phrase, const char *setting)") as (
    phrase: string,
    setting: string,
  ) => string | null;
  const salt = Array.from(randomBytes(21), (byte) => ALPHABET[byte & 63]).join("");
  // The last of the salt's 22 characters carries two bits only.
  const hash = crypt(password, `$2a$04$${salt}.`);
  if (hash?.startsWith("$2a$04$") !== true) throw new Error("this machine's crypt(3) knows no bcrypt");
  return hash;
}
