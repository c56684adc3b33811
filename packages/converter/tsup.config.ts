import { defineConfig } from "tsup";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    internals: "src/internals.ts",
    node: "src/node.ts",
    "node/block-math-worker": "src/node/block-math-worker.ts",
  },
  format: "esm",
  clean: true,
  sourcemap: true,
});
