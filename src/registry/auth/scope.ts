/** Scopes of distribution's token specification: `repository:<name>:pull,push`. */
const MOST_SCOPES = 32;
const LONGEST = 512;

/**
 * One sorted list of scopes that together mean the same as all the given ones: the actions of one resource are joined.
 * A registry's challenge is bounded to 32 scopes of 512 characters.
 */
export function mergeScopes(...lists: readonly (readonly string[])[]): string[] {
  const actions = new Map<string, Set<string>>();
  for (const scope of lists.flat()) {
    if (scope === "" || scope.length > LONGEST) continue;
    const colon = scope.lastIndexOf(":");
    const resource = resourceOf(scope);
    if (!actions.has(resource) && actions.size === MOST_SCOPES) continue;
    const known = actions.get(resource) ?? new Set();
    if (colon >= 0) for (const action of scope.slice(colon + 1).split(",")) known.add(action);
    actions.set(resource, known);
  }
  return [...actions]
    .map(([resource, set]) => (set.size === 0 ? resource : `${resource}:${[...set].sort().join(",")}`))
    .sort();
}

/** The scopes in a challenge's parameter. */
export function splitScopes(parameter: string | undefined): string[] {
  return (parameter ?? "").split(" ").filter((scope) => scope !== "");
}

export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

export function pushScope(repository: string): string {
  return `repository:${repository}:pull,push`;
}

/** The scopes that concern other resources than those of `others`. */
export function withoutScopes(scopes: readonly string[], others: readonly string[]): string[] {
  const resources = new Set(others.map(resourceOf));
  return scopes.filter((scope) => !resources.has(resourceOf(scope)));
}

function resourceOf(scope: string): string {
  const colon = scope.lastIndexOf(":");
  return colon < 0 ? scope : scope.slice(0, colon);
}
