import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/index.ts", "src/check.ts"],
  format: "esm",
  clean: true,
  sourcemap: true,
});
