/** The thread that does the linear algebra of the folds that benchmarks time, as the CLI's. */
import { onnxProducts } from "@kvfold/converter";
import { serveBlockMath } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";

serveBlockMath(onnxProducts(nodeProvider(), { threads: 1 }));
