/**
 * JSON byte for byte as Tart's manifests have it, which Foundation's encoder writes with sorted keys: no whitespace, and solidi escaped. It does
 * not matter to readers; but equal bytes have equal digests, and bytes like Tart's own are the ones that are known to be taken everywhere.
 */
export type FoundationValue = string | number | FoundationObject | readonly FoundationValue[];
export interface FoundationObject {
  readonly [key: string]: FoundationValue | undefined;
}

/** Members that are undefined are left out. @param value numbers in it are integers, texts well-formed */
export function foundationJson(value: FoundationValue): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value).replaceAll("/", "\\/");
  if (isList(value)) return `[${value.map(foundationJson).join(",")}]`;
  const members = Object.keys(value)
    .toSorted(byBytes)
    .flatMap((key) => {
      const member = value[key];
      return member === undefined ? [] : [`${foundationJson(key)}:${foundationJson(member)}`];
    });
  return `{${members.join(",")}}`;
}

/** Not by UTF-16 units, which come in another order beyond U+FFFF. */
function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function isList(value: FoundationObject | readonly FoundationValue[]): value is readonly FoundationValue[] {
  return Array.isArray(value);
}
