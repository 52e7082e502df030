/** What a registry's handler is given, by the daemon and by the servers of tests. */
import type { IncomingMessage } from "node:http";
import type { Log } from "../daemon.ts";
import type { Exchange, Headers } from "./exchange.ts";
import type { HostedContent } from "./hosted-content.ts";
import type { Route } from "./routes.ts";
import type { ContentSource } from "./types.ts";
import type { Uploads } from "./uploads.ts";

export type Action = "pull" | "push" | "delete";

/** What somebody wants to do with a repository; of the base endpoint there is no name. */
export interface Access {
  readonly name: string | undefined;
  readonly actions: readonly Action[];
}

export interface RegistryLimits {
  /** Of a manifest that is pushed. Default 4 MiB. */
  readonly manifestBytes?: number;
  /** Tags in one answer, at most, whatever is asked for. Default 10,000. */
  readonly tagsPage?: number;
  /** Entries in one answer of referrers. Default 1000; fewer when they are long. */
  readonly referrersPage?: number;
}

export interface RegistryOptions {
  /** What is served. */
  readonly source: ContentSource;
  /** What can be written to, and where uploads are kept on their way there. Without both nothing can be. */
  readonly repositories?: HostedContent;
  readonly uploads?: Pick<Uploads, "start" | "find">;
  /** Asked for each request that would change something. Default: whatever can be written to may be. */
  readonly allows?: (action: "push" | "delete") => boolean;
  /** @throws VarveError or RegistryError `UNAUTHORIZED`, `DENIED`. Default: everybody may do everything. */
  readonly authorize?: (request: IncomingMessage, access: Access) => void | Promise<void>;
  /** Whether an index may name manifests that are not here (distribution-spec "Pushing Manifests"). Default true. */
  readonly sparseIndexes?: boolean;
  readonly limits?: RegistryLimits;
  /** Told of the body bytes of blobs that went out. */
  readonly served?: (bytes: number) => void;
  /** Aborted when the server stops: what is under way is broken off. */
  readonly signal?: AbortSignal;
  /** Where troubles of this side are told. */
  readonly log?: Pick<Log, "error">;
  readonly hooks?: RegistryHooks;
}

/** For servers that do some things as other registries do them. */
export interface RegistryHooks {
  /** Called when the request may be answered. @returns true when that has been done */
  readonly before?: (exchange: Exchange) => boolean | Promise<boolean>;
  /** What is sent in the place of this head. */
  readonly head?: (exchange: Exchange, head: Head) => Head;
  /** Of an upload's body: where its connection breaks, and whether what came until then is kept. */
  readonly receiving?: (exchange: Exchange) => { readonly cut?: number; readonly keeps?: boolean };
}

export interface Head {
  readonly status: number;
  readonly headers: Headers;
}

/** What a request needs. */
export function neededAccess(route: Route, method: string): Access {
  if (route.kind === "base") return { name: undefined, actions: [] };
  const { name } = route;
  if (route.kind === "uploads" || route.kind === "upload") return { name, actions: ["pull", "push"] };
  if (method === "GET" || method === "HEAD") return { name, actions: ["pull"] };
  return { name, actions: method === "DELETE" ? ["delete"] : ["pull", "push"] };
}
