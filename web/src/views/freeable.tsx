/** What a collection would remove, by kinds. */
import type { GcResult } from "../api/types.ts";
import { count, formatBytes } from "../model/format.ts";

export function Freeable({ plan }: { readonly plan: GcResult }) {
  const rows = (
    [
      ["Whole blobs", plan.blobs],
      ["Partial blobs of pulls that were cut off", plan.partials],
      ["Snapshots", plan.snapshots],
      ["Unpacked layers", plan.layers],
      ["Folders without a name", plan.folders],
      ["Machines' disks", plan.disks],
      ["Partial disks", plan.partialDisks],
    ] as const
  ).filter(([, { count }]) => count > 0);
  return (
    <>
      {plan.broken.map(({ image, reason }) => (
        <p key={image} class="warning">
          No blobs can go, because nobody can say which are needed: {image}: {reason}
        </p>
      ))}
      {rows.length === 0 ? (
        <p>Nothing: all that is here is needed.</p>
      ) : (
        <table class="freeable">
          <tbody>
            {rows.map(([what, { count: number, bytes }]) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                <td class="number">{count(number, "piece")}</td>
                <td class="number">{formatBytes(bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
