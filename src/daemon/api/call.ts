/** One request to the API as its handler sees it: checked, and with what it may work on. */
import type { TransferContext } from "../../transfer/context.ts";
import type { Daemon } from "../daemon.ts";
import type { Jobs } from "../jobs/types.ts";
import type { OperationId } from "./schemas/operations.ts";
import type { AnswerOf, RequestOf, ROUTES } from "./schemas/routes.ts";

export interface ApiParts {
  readonly daemon: Daemon;
  readonly jobs: Pick<Jobs, "queue" | "feed">;
  /** Of the program. */
  readonly version: string;
}

export interface Call<Id extends OperationId> extends RequestOf<Id> {
  readonly parts: ApiParts;
  /** For what is of no use when the client has gone. */
  readonly context: () => Promise<TransferContext>;
  /** For changes that are short: the client may go, what was begun is done. */
  readonly lastingContext: () => Promise<TransferContext>;
}

/** What an answer holds, whoever made it: it is only read. */
export type Readable<T> = T extends readonly (infer Item)[]
  ? readonly Readable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Readable<T[Key]> }
    : T;

export type Handler<Id extends OperationId> = (call: Call<Id>) => Promise<Readable<AnswerOf<Id>>>;

/** Operations of which the answer is a stream of events. */
export type StreamId = {
  [Id in OperationId]: (typeof ROUTES)[Id] extends { readonly streams: true } ? Id : never;
}[OperationId];

export type Handlers<Ids extends OperationId> = { readonly [Id in Ids]: Handler<Id> };
