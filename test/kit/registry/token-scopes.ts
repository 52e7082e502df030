/** Token scopes (`repository:<name>:<actions>`, distribution "Token Scope Documentation") and who may have which. */
import type { Access } from "./access.ts";

/** What somebody may do where: an exact repository name, `prefix/*`, or `*`. */
export interface AccessRule {
  readonly name: string;
  readonly actions: readonly string[];
}

/** Each item may hold several scopes with spaces between them. Scopes of other things than repositories are left out. */
export function parseScopes(scopes: readonly string[]): Access[] {
  return scopes
    .flatMap((item) => item.split(" "))
    .flatMap((scope) => {
      const match = /^repository:(.+):([^:]*)$/.exec(scope);
      return match === null ? [] : [{ name: match[1] ?? "", actions: (match[2] ?? "").split(",") }];
    });
}

/** Of what was asked, that which the rules allow: less than asked is given without complaint, as the page demands. */
export function grantedAccess(asked: readonly Access[], rules: readonly AccessRule[]): Access[] {
  return asked
    .map(({ name, actions }) => {
      const allowed = new Set(rules.filter((rule) => matches(rule.name, name)).flatMap((rule) => rule.actions));
      return { name, actions: actions.filter((action) => allowed.has(action) || allowed.has("*")) };
    })
    .filter(({ actions }) => actions.length > 0);
}

function matches(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  return pattern.endsWith("/*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}
