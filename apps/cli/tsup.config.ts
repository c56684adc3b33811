import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/main.ts", "src/worker.ts", "src/block-math-worker.ts", "src/jobs.ts"],
  format: "esm",
  clean: true,
  sourcemap: true,
});
