/** Deltas: those that the store holds and what they save, and a new one. */
import { useState } from "preact/hooks";
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import type { DeltaRow, ImageRow } from "../api/types.ts";
import { useResource } from "../api/use-resource.ts";
import { useLive } from "../live.ts";
import { formatAgo, formatBytes, formatShare, shortDigest } from "../model/format.ts";
import { Choice, Field } from "../parts/field.tsx";
import { ImageName } from "../parts/names.tsx";
import { Empty, ErrorBox, When } from "../parts/states.tsx";
import { href } from "../route.ts";
import { allDeltas, allImages } from "./image-core.ts";

interface Held {
  readonly deltas: readonly DeltaRow[];
  /** Without the deltas among them. */
  readonly images: readonly ImageRow[];
}

async function readDeltas(signal: AbortSignal): Promise<Held> {
  const [deltas, images] = await Promise.all([allDeltas(signal), allImages(signal)]);
  const names = new Set(deltas.map(({ name }) => name));
  return { deltas, images: images.filter(({ name }) => !names.has(name)) };
}

export function DeltasView() {
  const { generation } = useLive();
  const held = useResource("deltas", generation, readDeltas);
  return (
    <When of={held} loading="Reading what the store holds">
      {({ deltas, images }) => (
        <>
          {images.length > 1 && <DeltaForm images={images} />}
          {deltas.length === 0 ? (
            <Empty title="No deltas yet">
              {images.length > 1
                ? "A delta holds what is new in one image to whoever has another."
                : "A delta is made of two images; this store has fewer."}
            </Empty>
          ) : (
            <DeltaTable deltas={deltas} images={images} />
          )}
        </>
      )}
    </When>
  );
}

const FORMATS = [
  ["librsync", "librsync, as balena's engine takes it"],
  ["tar-diff", "tar-diff, for single layers"],
] as const;

function DeltaForm({ images }: { readonly images: readonly ImageRow[] }) {
  const names = images.map(({ name }) => [name, name] as const);
  const [base, setBase] = useState(names[0]?.[0] ?? "");
  const [target, setTarget] = useState(names[1]?.[0] ?? "");
  const [format, setFormat] = useState<(typeof FORMATS)[number][0]>("librsync");
  const [push, setPush] = useState("");
  const [error, setError] = useState<Trouble>();
  const create = async (): Promise<void> => {
    setError(undefined);
    try {
      const to = push.trim() === "" ? {} : { push: push.trim() };
      const job = await daemon.deltas.create({ base, target, format, ...to });
      location.hash = href("jobs", job.id);
    } catch (thrown) {
      setError(toTrouble(thrown));
    }
  };
  return (
    <form
      class="card"
      aria-label="Create a delta"
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <div class="form-row form-delta">
        <Choice label="Who has" value={base} choices={names} onChoose={setBase} />
        <Choice label="is to get" value={target} choices={names} onChoose={setTarget} />
        <Choice label="Format" value={format} choices={FORMATS} onChoose={setFormat} />
        <Field label="Push to" value={push} onInput={setPush} placeholder="nowhere" required={format === "tar-diff"} />
        <button type="submit" disabled={base === target}>
          Create the delta
        </button>
      </div>
      {base === target && <p class="hint">An image needs no delta to itself.</p>}
      {error !== undefined && <ErrorBox error={error} />}
    </form>
  );
}

function DeltaTable({ deltas, images }: Held) {
  const named = (id: string | null): ImageRow | undefined =>
    images.find(({ imageId }) => imageId === id && id !== null);
  return (
    <ul class="deltas">
      {deltas.map((delta) => {
        const target = named(delta.targetId);
        return (
          <li key={delta.name} class="card">
            <h2 class="delta-way">
              <ImageOf row={named(delta.baseId)} id={delta.baseId} /> <span class="muted">to</span>{" "}
              <ImageOf row={target} id={delta.targetId} />
            </h2>
            <DeltaSize size={delta.size} whole={target?.size} />
            <p class="muted">
              <ImageName name={delta.name} />
              <br />
              {delta.kind === "image" ? "a delta image" : "deltas of single layers"}, made{" "}
              {formatAgo(delta.createdAt, Date.now())}
            </p>
          </li>
        );
      })}
    </ul>
  );
}

function ImageOf({ row, id }: { readonly row: ImageRow | undefined; readonly id: string | null }) {
  if (row !== undefined) return <ImageName name={row.name} />;
  return <code title={id ?? undefined}>{id === null ? "not told" : shortDigest(id)}</code>;
}

function DeltaSize({ size, whole }: { readonly size: number; readonly whole: number | undefined }) {
  if (whole === undefined) return <p class="delta-size">{formatBytes(size)}</p>;
  return (
    <>
      <p class="delta-size">
        {formatBytes(size)}{" "}
        <small>
          {formatShare(size, whole)} of the image's {formatBytes(whole)}
        </small>
      </p>
      <svg class="strip" aria-hidden="true">
        <rect class="strip-missing" width="100%" height="100%" rx="3" />
        <rect class="kind-data" width={`${Math.min(100, (100 * size) / Math.max(1, whole))}%`} height="100%" />
      </svg>
    </>
  );
}
