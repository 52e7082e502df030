import { contentSuite } from "./content.suite.ts";
import { openStore } from "./store.ts";

contentSuite("synced", (root) => openStore(root));
contentSuite("not synced", (root) => openStore(root, { sync: false }));
