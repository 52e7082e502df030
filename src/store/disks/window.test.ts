import { openWindow } from "../../../test/kit/store/open-window.ts";
import { ingestSuite } from "../ingest.suite.ts";
import { openStore } from "../store.ts";

ingestSuite("at a place of a disk", (root) => openStore(root), openWindow);
ingestSuite("at a place of a disk, not synced", (root) => openStore(root, { sync: false }), openWindow);
