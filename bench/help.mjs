/** Scripts that load this answer `--help` with what stands at their top, before they begin. */
import { readFileSync } from "node:fs";

if (process.argv.includes("--help") || process.argv.includes("-h")) {
  const [, comment = ""] = /^\/\*\*(.*?)\*\//s.exec(readFileSync(process.argv[1], "utf8")) ?? [];
  console.log(comment.replaceAll(/^ ?\* ?/gm, "").trim());
  process.exit();
}
