/** The thread that does the linear algebra of a fold: its large products are ONNX Runtime's, in one thread. */
import { onnxProducts } from "@kvfold/converter";
import { serveBlockMath } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";

serveBlockMath(onnxProducts(nodeProvider(), { threads: 1 }));
