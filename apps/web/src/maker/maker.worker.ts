/** The thread that folds and tunes: converter and linear algebra as they are, on ONNX Runtime's WebAssembly. */
import { webProvider } from "@kvfold/runtime-web";
import * as ort from "onnxruntime-web/wasm";
import { foldFiles } from "../fold/fold-files.js";
import type { WorkBeginning, WorkFailure, WorkMessage, WorkName, WorkOrder, Works } from "./works.js";

const enough = new AbortController();

self.addEventListener("message", ({ data }: MessageEvent<WorkOrder>) => {
  if (data.type === "enough") return enough.abort();
  const work = data.name === "fold" ? fold(data) : tune(data);
  work.catch((error: unknown) => post({ type: "failed", failure: describe(error) }));
});

async function fold({ request }: WorkBeginning<"fold">): Promise<void> {
  const result = await foldFiles(request, providerOf(request), {
    onProgress: (progress, layers) => tell<"fold">({ type: "progress", progress, layers }),
    onEnergy: (layer, energy) => tell<"fold">({ type: "energy", layer, energy }),
  });
  post<"fold">({ type: "done", result });
}

async function tune({ request }: WorkBeginning<"tune">): Promise<void> {
  // Who only folds does not load what differentiates.
  const { tuneFold } = await import("../tune/tune-fold.js");
  const options = { onProgress: tell<"tune">, enough: enough.signal };
  post<"tune">({ type: "done", result: await tuneFold(request, providerOf(request), options) });
}

const providerOf = ({ runtimeUrl }: Works[WorkName]["request"]) =>
  webProvider(ort, { wasmPaths: runtimeUrl });

const post = <Name extends WorkName>(message: WorkMessage<Name>): void => self.postMessage(message);

const tell = <Name extends WorkName>(news: Works[Name]["news"]): void => post<Name>({ type: "news", news });

function describe(error: unknown): WorkFailure {
  if (!(error instanceof Error)) return { code: "unknown", message: String(error) };
  return { code: "code" in error ? String(error.code) : error.name, message: error.message };
}
