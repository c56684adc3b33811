import { defineConfig } from "tsup";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    families: "src/families.ts",
    graph: "src/graph.ts",
    node: "src/node.ts",
  },
  format: "esm",
  clean: true,
  sourcemap: true,
});
