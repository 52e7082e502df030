/** What an update would move: an image that is here beside the one that it would become, and where the bytes of that would come from. */
import { useState } from "preact/hooks";
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import type { PullResult } from "../api/types.ts";
import { useResource } from "../api/use-resource.ts";
import { useLive } from "../live.ts";
import { Choice, Field } from "../parts/field.tsx";
import { Empty, ErrorBox, Loading, When } from "../parts/states.tsx";
import { href } from "../route.ts";
import { readCores, type ImageCore } from "./image-core.ts";
import { UpdatePlan } from "./update-plan.tsx";

export function UpdatesView({ name }: { readonly name: string | undefined }) {
  const { generation } = useLive();
  const cores = useResource("images", generation, readCores);
  return (
    <When of={cores} loading="Reading what the store holds">
      {(images) => {
        if (images.length === 0) {
          return (
            <Empty title="Nothing to update yet">
              <a href={href("pulls")}>Pull an image first</a>
            </Empty>
          );
        }
        return <Updates images={images} name={name ?? images[0]?.name ?? ""} />;
      }}
    </When>
  );
}

function Updates({ images, name }: { readonly images: readonly ImageCore[]; readonly name: string }) {
  const image = images.find((one) => one.name === name);
  const [reference, setReference] = useState(name);
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState<Trouble>();
  const [plan, setPlan] = useState<PullResult>();
  const ask = async (): Promise<void> => {
    setError(undefined);
    setAsking(true);
    try {
      const of = image?.row.platform ?? null;
      const body = { reference: reference.trim(), ...(of !== null && { platform: of }) };
      setPlan(await daemon.plans.create(body, { signal: AbortSignal.timeout(120_000) }));
    } catch (thrown) {
      setPlan(undefined);
      setError(toTrouble(thrown));
    } finally {
      setAsking(false);
    }
  };
  const names = images.map((one) => one.name);
  return (
    <>
      <form
        class="card"
        aria-label="Plan an update"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <div class="form-row form-update">
          <Choice
            label="From the image here"
            value={name}
            choices={names.map((one) => [one, one] as const)}
            onChoose={(next) => {
              location.hash = href("updates", next);
              setReference(next);
              setPlan(undefined);
            }}
          />
          <Field
            label="To the image in a registry"
            value={reference}
            onInput={setReference}
            placeholder="registry.example/app:2"
            required
          />
          <button type="submit" disabled={isAsking}>
            Plan
          </button>
        </div>
      </form>
      {error !== undefined && <ErrorBox error={error} />}
      {isAsking && <Loading what="Planning, which moves nothing but documents" />}
      {plan !== undefined && !isAsking && <UpdatePlan plan={plan} image={image} />}
      {plan === undefined && error === undefined && !isAsking && (
        <Empty title="No plan yet">
          A plan asks the registry for documents only. It tells what an update would move, and why.
        </Empty>
      )}
    </>
  );
}
