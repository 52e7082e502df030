import type { CompiledModule } from "../../wasm/module.ts";

/** Programs are compiled when they are first needed, which costs a millisecond. */
export function compiledOnce(compile: () => CompiledModule): () => CompiledModule {
  let module: CompiledModule | undefined;
  return () => (module ??= compile());
}
