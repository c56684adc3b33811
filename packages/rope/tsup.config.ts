import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/index.ts", "src/mixing.ts"],
  format: "esm",
  clean: true,
  sourcemap: true,
});
