/**
 * Who an image's `User` is, OCI image-spec "conversion.md" §Config.User: names are looked up in the image's own
 * /etc/passwd and /etc/group, numbers are taken as they are. The rules are those of runc and Docker.
 */
import { VarveError } from "../errors/varve-error.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** Ids beyond are negative to some system calls; runc refuses them too. */
const MAX_ID = 2 ** 31 - 1;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * Resolves `user`, `user:group`, `uid`, `uid:gid` and mixtures; empty is root. Without a group the user's primary group is
 * taken and the groups that list the user are added.
 *
 * @param passwd text of the image's /etc/passwd, empty if it has none
 * @param group text of the image's /etc/group, empty if it has none
 * @throws VarveError `CONFIG_INVALID` when a name is not there, or a number is no id
 */
export function resolveUser(userField: string, passwd: string, group: string): ResolvedUser {
  const colon = userField.indexOf(":");
  const userPart = (colon < 0 ? userField : userField.slice(0, colon)) || "0";
  const groupPart = colon < 0 ? "" : userField.slice(colon + 1);

  const givenUid = parseId(userPart, userField);
  const known = parsePasswd(passwd).find((entry) =>
    givenUid === undefined ? entry.name === userPart : entry.uid === givenUid,
  );
  const uid = known?.uid ?? givenUid;
  if (uid === undefined) throw unknown("user", userPart, "/etc/passwd");

  const groups = parseGroup(group);
  if (groupPart !== "") return { uid, gid: resolveGroup(groupPart, groups, userField), additionalGids: [] };
  const gid = known?.gid ?? 0;
  const listed = groups.filter((entry) => known !== undefined && entry.members.includes(known.name));
  const additionalGids = [...new Set(listed.map((entry) => entry.gid))].filter((id) => id !== gid);
  return { uid, gid, additionalGids };
}

function resolveGroup(name: string, groups: readonly GroupEntry[], userField: string): number {
  const id = parseId(name, userField) ?? groups.find((entry) => entry.name === name)?.gid;
  if (id === undefined) throw unknown("group", name, "/etc/group");
  return id;
}

/** A number, or undefined for a name. */
function parseId(text: string, userField: string): number | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  const id = Number(text);
  if (id >= 0 && id <= MAX_ID) return id;
  throw new VarveError(
    "CONFIG_INVALID",
    `no user or group has the id ${text.slice(0, 40)}, as in ${quoted(userField)}`,
    {
      hint: `ids go from 0 to ${MAX_ID}`,
    },
  );
}

function parsePasswd(text: string): PasswdEntry[] {
  return records(text).flatMap(([name = "", , uid, gid]) => {
    const ids = [fieldId(uid), fieldId(gid)] as const;
    return ids[0] === undefined || ids[1] === undefined ? [] : [{ name, uid: ids[0], gid: ids[1] }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return records(text).flatMap(([name = "", , gid, members = ""]) => {
    const id = fieldId(gid);
    return id === undefined ? [] : [{ name, gid: id, members: members.split(",") }];
  });
}

/** Lines of fields; comments and broken lines are passed over, as the C library does. */
function records(text: string): string[][] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(":"));
}

function fieldId(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;
}

function unknown(kind: string, name: string, file: string): VarveError {
  return new VarveError("CONFIG_INVALID", `the image is to run as ${kind} ${quoted(name)}, whom its ${file} lacks`, {
    hint: "the image is broken, or it means a number; give the ids by hand in config.json",
  });
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
