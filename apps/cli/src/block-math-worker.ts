/**
 * The thread that does the linear algebra of a fold: its large products are ONNX Runtime's. They take one thread, or as many
 * as the script's own address says: beside a model that runs on a GPU all cores are free. The largest may take more (`large`): the solve of
 * a wide MLP takes longer than what the fold can run beside it.
 */
import { availableParallelism } from "node:os";
import { onnxProducts } from "@kvfold/converter";
import { serveBlockMath } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";

const { searchParams } = new URL(import.meta.url);
const threads = Number(searchParams.get("threads") ?? 1);
const largeThreads = Number(searchParams.get("large") ?? availableParallelism());

serveBlockMath(onnxProducts(nodeProvider(), { threads, largeThreads }));
