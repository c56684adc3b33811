import { renameModel } from "../../../onnx/test/support/rename-model.js";
import type { Exported } from "./graph-writer.js";

/** What names a graph has instead of its own. */
export const renamings: Readonly<Record<string, () => (name: string) => string>> = {
  "names that say nothing": () => {
    const names = new Map<string, string>();
    return (name) => {
      const known = names.get(name) ?? `t${names.size}`;
      names.set(name, known);
      return known;
    };
  },
  "names that mislead": () => {
    const pairs = [
      ["key", "value"],
      ["input_ids", "position_ids"],
      ["q_proj", "v_proj"],
      ["gate_proj", "up_proj"],
      ["past_key_values", "present"],
      ["logits", "attention_mask"],
      ["input_layernorm", "post_attention_layernorm"],
    ];
    const other = new Map(pairs.flatMap(([a = "", b = ""]) => [[a, b] as const, [b, a] as const]));
    // The longer of two that begin alike first.
    const words = new RegExp([...other.keys()].toSorted((a, b) => b.length - a.length).join("|"), "g");
    return (name) => name.replace(words, (word) => other.get(word)!);
  },
};

/** The same graph with all names changed but those of its files. */
export const renamed = ({ bytes, ...files }: Exported, names: keyof typeof renamings): Exported => ({
  ...files,
  bytes: renameModel(bytes, renamings[names]!()),
});
