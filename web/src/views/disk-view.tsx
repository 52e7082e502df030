/** Disk use: what takes the space, what could be freed, and doing so. */
import { useState } from "preact/hooks";
import { daemon, toTrouble, type Trouble } from "../api/daemon.ts";

import type { DiskUsage, GcInput, GcResult } from "../api/types.ts";
import { useResource } from "../api/use-resource.ts";
import { useLive } from "../live.ts";
import { formatBytes, formatShare } from "../model/format.ts";
import { storeShares } from "../model/store-shares.ts";
import { Check } from "../parts/field.tsx";
import { Confirm } from "../parts/confirm.tsx";
import { Figure, Figures } from "../parts/figure.tsx";
import { ImageName } from "../parts/names.tsx";
import { Empty, ErrorBox, When } from "../parts/states.tsx";
import { href } from "../route.ts";
import { Freeable } from "./freeable.tsx";

export function DiskView() {
  const { generation } = useLive();
  const [isAll, setAll] = useState(false);
  // As interrupted pulls leave it; the default keeps what is younger than a week.
  const oldest = isAll ? { partialsOlderThanMs: 0 } : {};
  const usage = useResource("disk", generation, (signal) => daemon.df({ signal }));
  const plan = useResource(`gc ${isAll}`, generation, (signal) => daemon.gc.preview(oldest, { signal }));
  return (
    <>
      <When of={usage} loading="Counting what the store takes">
        {(usage) => (usage.totalBytes === 0 ? <Empty title="The store is empty" /> : <Usage usage={usage} />)}
      </When>
      <section class="card" aria-labelledby="gc-title">
        <h2 id="gc-title">What could be freed</h2>
        <When of={plan} loading="Looking for what nothing needs">
          {(plan) => (
            <>
              <Freeable plan={plan} />
              <Check label="Also what interrupted pulls left in the last week" value={isAll} onSet={setAll} />
              <Actions plan={plan} oldest={oldest} />
            </>
          )}
        </When>
      </section>
    </>
  );
}

function Usage({ usage }: { readonly usage: DiskUsage }) {
  const shares = storeShares(usage);
  let at = 0;
  return (
    <>
      <Figures>
        <Figure label="The store takes" value={formatBytes(usage.totalBytes)} note={usage.root} />
        <Figure label="Needed by several images" value={formatBytes(usage.images.sharedBytes)} />
        {usage.repositories.bytes > 0 && (
          <Figure
            label="Served under /v2/"
            value={formatBytes(usage.repositories.bytes)}
            note="images may need some of it"
          />
        )}
        <Figure label="Needed by nothing" value={formatBytes(usage.unreferenced.bytes + usage.ingests.bytes)} />
      </Figures>
      <svg
        class="strip strip-thick"
        role="img"
        aria-label={shares.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`).join(", ")}
      >
        <rect class="strip-missing" width="100%" height="100%" rx="3" />
        {shares.map(({ name, bytes, sediment }) => {
          const [x, width] = [at, (100 * bytes) / usage.totalBytes];
          at += width;
          return (
            <rect
              key={name}
              class={`stratum-body sediment-${sediment}`}
              x={`${x}%`}
              width={`${width}%`}
              height="100%"
            />
          );
        })}
      </svg>
      <ul class="legend" aria-label="What takes the space">
        {shares.map(({ name, bytes, sediment }) => (
          <li key={name}>
            <svg width="22" height="14" aria-hidden="true">
              <rect class={`stratum-body sediment-${sediment}`} width="22" height="14" rx="2" />
            </svg>
            {name} <b>{formatBytes(bytes)}</b> {formatShare(bytes, usage.totalBytes)}
          </li>
        ))}
      </ul>
      <Images usage={usage} />
    </>
  );
}

function Images({ usage: { images } }: { readonly usage: DiskUsage }) {
  if (images.each.length === 0) return null;
  const most = Math.max(1, ...images.each.map(({ bytes }) => bytes));
  const rows = [...images.each].sort((a, b) => b.ownBytes - a.ownBytes);
  return (
    <section aria-labelledby="images-title">
      <h2 id="images-title">What images need</h2>
      <p class="muted">Dark is what would go with the image alone, light what others need as well.</p>
      <ul class="needs">
        {rows.map(({ name, bytes, ownBytes }) => (
          <li key={name}>
            <a href={href("images", name)}>
              <ImageName name={name} />
            </a>
            <svg class="strip" aria-hidden="true">
              <rect class="need-all" width={`${(100 * bytes) / most}%`} height="100%" />
              <rect class="need-own" width={`${(100 * ownBytes) / most}%`} height="100%" />
            </svg>
            <span class="strip-figures">
              {formatBytes(ownBytes)} of {formatBytes(bytes)} alone
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Actions({ plan, oldest }: { readonly plan: GcResult; readonly oldest: GcInput }) {
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState<Trouble>();
  const begin = async (work: () => Promise<{ readonly id: string }>): Promise<void> => {
    setError(undefined);
    try {
      location.hash = href("jobs", (await work()).id);
    } catch (thrown) {
      setError(toTrouble(thrown));
    }
  };
  const collect = () => daemon.gc.start(oldest);
  return (
    <>
      {error !== undefined && <ErrorBox error={error} />}
      <div class="actions">
        <button type="button" disabled={plan.freedBytes === 0} onClick={() => setAsking(true)}>
          Free {formatBytes(plan.freedBytes)}…
        </button>
        <button type="button" class="secondary" onClick={() => void begin(() => daemon.fsck.start())}>
          Check the store
        </button>
      </div>
      {isAsking && (
        <Confirm
          title="Remove what nothing needs?"
          action={`Free ${formatBytes(plan.freedBytes)}`}
          onConfirm={() => void begin(collect)}
          onClose={() => setAsking(false)}
        >
          <p>Images stay as they are. What is removed has to be pulled again when it is wanted after all.</p>
        </Confirm>
      )}
    </>
  );
}
