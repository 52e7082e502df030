/** Pulls: begin one, and see where each layer's bytes come from while it runs. */
import { useState } from "preact/hooks";
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import { Check, Choice, Field } from "../parts/field.tsx";
import { Empty, ErrorBox } from "../parts/states.tsx";
import { href } from "../route.ts";
import { JobDetails } from "./job-details.tsx";
import { JobTable, useJobs } from "./job-table.tsx";

const DELTAS = [
  ["auto", "where they help"],
  ["never", "never"],
  ["always", "only deltas"],
] as const;

export function PullsView({ id }: { readonly id: string | undefined }) {
  const pulls = useJobs("pull", undefined);
  return (
    <>
      <PullForm />
      {id !== undefined && <JobDetails key={id} id={id} />}
      <section aria-labelledby="pulls-title">
        <h2 id="pulls-title">Pulls until now</h2>
        <JobTable
          jobs={pulls}
          view="pulls"
          chosen={id}
          empty={
            <Empty title="No pulls yet">Name an image above. Its layers then appear here while they come in.</Empty>
          }
        />
      </section>
    </>
  );
}

function PullForm() {
  const [reference, setReference] = useState("");
  const [platform, setPlatform] = useState("");
  const [delta, setDelta] = useState<(typeof DELTAS)[number][0]>("auto");
  const [unpack, setUnpack] = useState(true);
  const [isSent, setSent] = useState(false);
  const [error, setError] = useState<Trouble>();
  const pull = async (): Promise<void> => {
    setError(undefined);
    setSent(true);
    try {
      const of = platform.trim() === "" ? {} : { platform: platform.trim() };
      const job = await daemon.pulls.create({ reference: reference.trim(), delta, unpack, ...of });
      location.hash = href("pulls", job.id);
    } catch (thrown) {
      setError(toTrouble(thrown));
    } finally {
      setSent(false);
    }
  };
  return (
    <form
      class="card"
      aria-label="Pull an image"
      onSubmit={(event) => {
        event.preventDefault();
        void pull();
      }}
    >
      <div class="form-row">
        <Field
          label="Image to pull"
          value={reference}
          onInput={setReference}
          placeholder="docker.io/library/debian:12"
          required
        />
        <button type="submit" disabled={isSent}>
          Pull
        </button>
      </div>
      <details>
        <summary>More</summary>
        <div class="form-more">
          <Field label="Platform" value={platform} onInput={setPlatform} placeholder="this machine's" />
          <Choice label="Deltas" value={delta} choices={DELTAS} onChoose={setDelta} />
          <Check label="Unpack its layers" value={unpack} onSet={setUnpack} />
        </div>
      </details>
      {error !== undefined && <ErrorBox error={error} />}
    </form>
  );
}
