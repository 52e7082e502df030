/** The path below the root that is meant, by its text alone: `..` stops at the root. Empty for the root itself. */
export function cleanMemberPath(path: string): string {
  if (!/(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

/** Whether `..` is part of it: engines differ in what such a member of a tar means, if anything. */
export function leavesItsPlace(path: string): boolean {
  return path.includes("..") && path.split("/").includes("..");
}
