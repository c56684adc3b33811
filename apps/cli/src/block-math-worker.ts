/**
 * The thread that does the linear algebra of a fold: its large products are ONNX Runtime's. They take one thread, or as many
 * as the script's own address says: beside a model that runs on a GPU all cores are free. The largest take all cores in any
 * case: the solve of a wide MLP takes longer than what the fold can run beside it.
 */
import { availableParallelism } from "node:os";
import { onnxProducts } from "@kvfold/converter";
import { serveBlockMath } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";

const threads = Number(new URL(import.meta.url).searchParams.get("threads") ?? 1);

serveBlockMath(onnxProducts(nodeProvider(), { threads, largeThreads: availableParallelism() }));
