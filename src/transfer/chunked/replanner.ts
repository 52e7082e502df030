/**
 * Plans anew when a file of this machine does not hold what a recipe takes from it: at first without that piece, then without that file; it may
 * be the tar of a whole layer, of which one place is bad. After that whoever asks is better off without plans.
 */
import { isVarveError, type VarveError } from "../../errors/varve-error.ts";
import type { Rates } from "../../plan/choose.ts";
import type { Replanned } from "../../recipe/assembler.ts";
import type { LocalSegment } from "../../recipe/segment.ts";
import type { LocalPlace, LocalPlaces, LocalSources } from "../../store/local-sources/types.ts";
import type { TableOfContents } from "./format.ts";

const MAX_REPLANS = 3;

export interface ReplannerOptions {
  readonly toc: TableOfContents;
  readonly places: Pick<LocalPlaces, "get">;
  readonly rates: Rates;
  readonly signal: AbortSignal;
  readonly sources: Pick<LocalSources, "forget">;
}

export class Replanner {
  readonly #options: ReplannerOptions;
  readonly #bad: LocalSegment[] = [];

  constructor(options: ReplannerOptions) {
    this.#options = options;
  }

  /** For `AssembleOptions.replan`. */
  async replan(failure: VarveError): Promise<Replanned | undefined> {
    const segment = failure.detail["segment"] as LocalSegment | undefined;
    if (!isVarveError(failure, "SOURCE_CHANGED") || segment?.kind !== "local") return undefined;
    if (this.#bad.length >= MAX_REPLANS) return undefined;
    this.#bad.push(segment);
    const { toc, places, rates, sources, signal } = this.#options;
    // Only for later pulls.
    await sources.forget(segment).catch(() => undefined);
    const held = {
      get: (piece: number): LocalPlace | undefined => {
        const place = places.get(piece);
        return place !== undefined && this.#isBad(place) ? undefined : place;
      },
    };
    // What has come of the tar is of use only to a plan for it, even if that has to fetch all of the rest.
    const plan = await toc.plan(held, { rates, signal, mustSave: false });
    return "refused" in plan ? undefined : { recipe: plan.recipe, from: "files of this machine" };
  }

  #isBad({ path, start }: LocalPlace): boolean {
    const ofFile = this.#bad.filter((segment) => segment.path === path);
    return ofFile.length > 1 || ofFile.some((bad) => start >= bad.start && start < bad.start + bad.length);
  }
}
