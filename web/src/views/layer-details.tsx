/** What is known of the layer or the image that was chosen. */
import { useState } from "preact/hooks";
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import { useLive } from "../live.ts";
import { count, formatAgo, formatBytes } from "../model/format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { DigestText, ImageName } from "../parts/names.tsx";
import { ErrorBox } from "../parts/states.tsx";
import { href } from "../route.ts";
import type { ImageCore, ImageLayer } from "./image-core.ts";
import type { Place } from "./place.ts";

interface Props {
  readonly images: readonly ImageCore[];
  readonly place: Place | undefined;
  readonly onChoose: (place: Place) => void;
  readonly onRemoved: () => void;
}

export function LayerDetails({ images, place, onChoose, onRemoved }: Props) {
  const image = images.find(({ name }) => name === place?.name);
  const layer = place?.index === undefined ? undefined : image?.layers[place.index];
  return (
    <aside class="card details" aria-label="What was chosen" aria-live="polite">
      {image === undefined ? (
        <>
          <h2>Nothing chosen</h2>
          <p class="muted">Choose a layer to see which images it is part of.</p>
        </>
      ) : (
        <>
          {layer !== undefined && <Layer image={image} layer={layer} images={images} onChoose={onChoose} />}
          <Image image={image} onRemoved={onRemoved} />
        </>
      )}
    </aside>
  );
}

interface LayerProps {
  readonly image: ImageCore;
  readonly layer: ImageLayer;
  readonly images: readonly ImageCore[];
  readonly onChoose: (place: Place) => void;
}

function Layer({ image, layer, images, onChoose }: LayerProps) {
  const index = image.layers.indexOf(layer);
  return (
    <section aria-labelledby="layer-title">
      <h2 id="layer-title">
        Layer {index + 1} of {image.layers.length}
      </h2>
      <dl class="facts">
        <dt>Size</dt>
        <dd>
          {formatBytes(layer.size)}
          {layer.uncompressedSize !== null && `, ${formatBytes(layer.uncompressedSize)} unpacked`}
        </dd>
        <dt>Blob</dt>
        <dd>
          <DigestText digest={layer.digest} />
        </dd>
        {layer.diffId !== null && layer.diffId !== layer.digest && (
          <>
            <dt>Content</dt>
            <dd>
              <DigestText digest={layer.diffId} />
            </dd>
          </>
        )}
        <dt>Kind</dt>
        <dd>
          <code>{layer.mediaType.replace(/^application\/vnd\.(\w+)\.image\.(layer\.v1|rootfs\.diff)\./, "$1 ")}</code>
        </dd>
      </dl>
      {layer.shares === 0 ? (
        <p>No other image has it: it goes with this one.</p>
      ) : (
        <>
          <h3>Also in {count(layer.shares, "image")}</h3>
          <ul class="plain">
            {layer.sharedWith.map((name) => (
              <li key={name}>
                <button
                  type="button"
                  class="link"
                  onClick={() => onChoose({ name, index: indexIn(images, name, layer) })}
                >
                  <ImageName name={name} />
                </button>
              </li>
            ))}
            {layer.shares > layer.sharedWith.length && <li>and {layer.shares - layer.sharedWith.length} more</li>}
          </ul>
        </>
      )}
    </section>
  );
}

function indexIn(images: readonly ImageCore[], name: string, { key }: ImageLayer): number | undefined {
  const at = images.find((image) => image.name === name)?.layers.findIndex((layer) => layer.key === key);
  return at === undefined || at < 0 ? undefined : at;
}

function Image({
  image: { name, row, layers },
  onRemoved,
}: {
  readonly image: ImageCore;
  readonly onRemoved: () => void;
}) {
  const { generation } = useLive();
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState<Trouble>();
  const own = layers.reduce((sum, { size, shares }) => sum + (shares === 0 ? size : 0), 0);
  const remove = (): void => {
    setError(undefined);
    daemon.images.remove(name).then(onRemoved, (thrown: unknown) => setError(toTrouble(thrown)));
  };
  return (
    <section aria-labelledby="image-title">
      <h2 id="image-title">
        <ImageName name={name} />
      </h2>
      <dl class="facts">
        <dt>Size</dt>
        <dd>
          {formatBytes(row.size)} in {count(layers.length, "layer")}, {formatBytes(own)} in no other image
        </dd>
        <dt>Digest</dt>
        <dd>
          <DigestText digest={row.digest} />
        </dd>
        {row.platform !== null && (
          <>
            <dt>Platform</dt>
            <dd>{row.platform}</dd>
          </>
        )}
        <dt>Pulled</dt>
        <dd key={generation}>{formatAgo(row.pulledAt, Date.now())}</dd>
      </dl>
      {error !== undefined && <ErrorBox error={error} />}
      <div class="actions">
        <a class="button secondary" href={href("updates", name)}>
          Plan an update
        </a>
        <button type="button" class="secondary" onClick={() => setAsking(true)}>
          Remove…
        </button>
      </div>
      {isAsking && (
        <Confirm
          title="Remove this image?"
          action={`Remove it, ${formatBytes(own)}`}
          onConfirm={remove}
          onClose={() => setAsking(false)}
        >
          <p>
            <ImageName name={name} />
          </p>
          <p>What no other image needs goes with it, and has to be pulled again when it is wanted.</p>
        </Confirm>
      )}
    </section>
  );
}
