import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/main.ts", "src/worker.ts", "src/block-math-worker.ts", "src/jobs.ts"],
  format: "esm",
  // Only `./jobs` is imported by others.
  dts: { entry: "src/jobs.ts" },
  clean: true,
  sourcemap: true,
});
