/** Images as strata: what the store holds, to scale, and which layers images have in common. */
import { useMemo, useState } from "preact/hooks";
import { useResource } from "../api/use-resource.ts";
import { useLive } from "../live.ts";
import { count, formatBytes, formatShare } from "../model/format.ts";
import { byKinship, sharedLayers } from "../model/kinship.ts";
import { Field } from "../parts/field.tsx";
import { Figure, Figures } from "../parts/figure.tsx";
import { ImageName } from "../parts/names.tsx";
import { Empty, When } from "../parts/states.tsx";
import { href } from "../route.ts";
import { readCores, type ImageCore } from "./image-core.ts";
import { LayerDetails } from "./layer-details.tsx";
import type { Place } from "./place.ts";
import { StrataFigure } from "./strata-figure.tsx";

export function ImagesView({ name }: { readonly name: string | undefined }) {
  const { generation } = useLive();
  const cores = useResource("images", generation, readCores);
  return (
    <When of={cores} loading="Reading what the store holds">
      {(images) => <Images images={images} name={name} reload={cores.reload} />}
    </When>
  );
}

interface ImagesProps {
  readonly images: readonly ImageCore[];
  readonly name: string | undefined;
  readonly reload: () => void;
}

function Images({ images, name, reload }: ImagesProps) {
  const [filter, setFilter] = useState("");
  const [place, setPlace] = useState<Place>();
  const ordered = useMemo(() => byKinship(images), [images]);
  const shared = useMemo(() => sharedLayers(images), [images]);
  const shown = ordered.filter((image) => image.name.includes(filter.trim().toLowerCase()));
  if (images.length === 0) {
    return (
      <Empty title="No images yet">
        <a href={href("pulls")}>Pull the first one</a>
      </Empty>
    );
  }
  const chosen = place ?? (name === undefined ? undefined : { name, index: undefined });
  return (
    <>
      <Sums images={images} />
      {images.length > 6 && (
        <Field label="Show names with" type="search" value={filter} onInput={setFilter} placeholder="part of a name" />
      )}
      <div class="split">
        <div>
          <StrataFigure images={shown} shared={shared} chosen={chosen} onChoose={setPlace} />
          {shown.length === 0 && <p class="muted">No image's name has “{filter}” in it.</p>}
        </div>
        <LayerDetails images={images} place={chosen} onChoose={setPlace} onRemoved={reload} />
      </div>
      <ImageTable images={shown} shared={shared} />
    </>
  );
}

/** Layers that several images have are here once. */
function Sums({ images }: { readonly images: readonly ImageCore[] }) {
  const all = images.flatMap(({ layers }) => layers);
  const apart = all.reduce((sum, { size }) => sum + size, 0);
  const once = [...new Map(all.map((layer) => [layer.digest, layer.size])).values()].reduce(
    (sum, size) => sum + size,
    0,
  );
  return (
    <Figures>
      <Figure label="Images" value={String(images.length)} note={count(all.length, "layer")} />
      <Figure label="Layers take" value={formatBytes(once)} note="each of them once" />
      <Figure
        label="Saved by sharing"
        value={formatBytes(apart - once)}
        note={`${formatShare(apart - once, apart)} of ${formatBytes(apart)}`}
      />
    </Figures>
  );
}

function ImageTable({
  images,
  shared,
}: {
  readonly images: readonly ImageCore[];
  readonly shared: ReadonlyMap<string, number>;
}) {
  return (
    <section aria-labelledby="image-table">
      <h2 id="image-table">The same as a table</h2>
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col">Image</th>
              <th scope="col">Platform</th>
              <th scope="col" class="number">
                Layers
              </th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col" class="number">
                Shared
              </th>
            </tr>
          </thead>
          <tbody>
            {images.map(({ name, row, layers }) => (
              <tr key={name}>
                <th scope="row">
                  <ImageName name={name} />
                </th>
                <td data-label="Platform">{row.platform ?? "none"}</td>
                <td data-label="Layers" class="number">
                  {layers.length}
                </td>
                <td data-label="Size" class="number">
                  {formatBytes(row.size)}
                </td>
                <td data-label="Shared" class="number">
                  {formatBytes(layers.reduce((sum, { key, size }) => sum + (shared.has(key) ? size : 0), 0))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
