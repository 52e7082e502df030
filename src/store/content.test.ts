import { contentSuite } from "./content.suite.ts";
import { ingestSuite } from "./ingest.suite.ts";
import { openStore } from "./store.ts";

for (const suite of [contentSuite, ingestSuite]) {
  suite("synced", (root) => openStore(root));
  suite("not synced", (root) => openStore(root, { sync: false }));
}
