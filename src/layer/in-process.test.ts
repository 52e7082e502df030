import { inProcess } from "./in-process.ts";
import { describeLayerThreads } from "./threads.suite.ts";

describeLayerThreads("without threads", () => inProcess);
