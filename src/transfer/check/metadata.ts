/** Checks and mends what the store says about itself: database, rows of images, index.json. */
import type { Descriptor } from "../../oci/descriptor.ts";
import { choosePlatform, hostPlatform } from "../../oci/platform.ts";
import { findDocument } from "../../store/mark.ts";
import type { RecoveredImage } from "../../store/recover.ts";
import type { ImageEntry } from "../../store/images.ts";
import type { Store } from "../../store/store.ts";
import type { Check } from "./check.ts";

/** @returns whether images can be listed now */
export async function checkMetadata(check: Check): Promise<boolean> {
  const { store, findings, repair } = check;
  const { examination } = store;
  if (await examination.isLayoutLost()) {
    findings.add("layout", "oci-layout is missing or empty, so other tools see no image layout here", {
      path: "oci-layout",
    });
  }
  if (!(await checkDatabase(check))) return false;
  const lost = await examination.lostImages();
  if (lost.length > 0) {
    const key = findings.add("database", `the database knows none of the ${lost.length} images that index.json names`, {
      path: examination.database,
    });
    if (repair) {
      await restore(store, lost);
      findings.repaired(key);
    }
  }
  const fault = await examination.indexFault();
  if (fault !== undefined && lost.length === 0) {
    const key = findings.add("index", fault, { path: examination.indexJson });
    if (repair) {
      await examination.rewriteIndex();
      findings.repaired(key);
    }
  }
  return true;
}

async function checkDatabase({ store, findings, repair }: Check): Promise<boolean> {
  const { examination } = store;
  const { damage, badImages } = await examination.databaseFaults();
  if (damage.length > 0) {
    const path = examination.database;
    const key = findings.add("database", `the database is damaged: ${damage.slice(0, 3).join("; ")}`, { path });
    if (!repair) return false;
    const known = await store.images.list().catch(() => []);
    const named = (await examination.imagesInIndex()).filter(({ name }) => !known.some((image) => image.name === name));
    const served = await store.repositories.salvage();
    await examination.setDatabaseAside();
    await store.examination.restoreImages([...known, ...(await entriesOf(store, named))]);
    await store.repositories.restore(served);
    findings.repaired(key);
    return true;
  }
  if (badImages.length === 0) return true;
  const keys = badImages.map((image) =>
    findings.add("image-record", `what is recorded of ${image} makes no sense`, { image }),
  );
  if (!repair) return false;
  const named = (await examination.imagesInIndex()).filter(({ name }) => badImages.includes(name));
  await examination.restoreImages(await entriesOf(store, named), badImages);
  for (const [at, key] of keys.entries()) {
    if (named.some(({ name }) => name === badImages[at])) findings.repaired(key);
    else findings.failed(key, "index.json does not have it; it was taken out, pull it again");
  }
  return true;
}

async function restore(store: Store, images: readonly RecoveredImage[]): Promise<void> {
  await store.examination.restoreImages(await entriesOf(store, images));
}

/** Completes what index.json says with what the documents say. */
async function entriesOf(store: Store, images: readonly RecoveredImage[]): Promise<ImageEntry[]> {
  const entries: ImageEntry[] = [];
  for (const { name, descriptor, manifest } of images) {
    const chosen = manifest ?? (await chooseManifest(store, descriptor));
    const document = await findDocument(store.content, chosen);
    const configDigest =
      typeof document !== "string" && document.kind === "manifest" ? document.config.digest : undefined;
    entries.push({ name, descriptor, manifest: chosen, ...(configDigest !== undefined && { configDigest }) });
  }
  return entries;
}

/** Of an index, the manifest that is here: this machine's, else any. */
async function chooseManifest({ content }: Store, root: Descriptor): Promise<Descriptor> {
  const document = await findDocument(content, root);
  if (typeof document === "string" || document.kind === "manifest") return root;
  const here: Descriptor[] = [];
  for (const manifest of document.manifests) if (await content.holds(manifest)) here.push(manifest);
  return choosePlatform(here, hostPlatform()) ?? here[0] ?? root;
}
