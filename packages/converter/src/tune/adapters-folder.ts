import { type ModelTarget, writeBytes } from "@kvfold/decoder";
import { type ModelAdapters, saveAdapters } from "@kvfold/tuning";

/** What becomes of the adapters: they are added to the weights, or kept beside a model that stays as it was folded. */
export type AdapterPlace = "merge" | "keep";

/** Adapters that are kept, in the folder of their model. */
export const ADAPTERS_FILE = "adapters/adapter_model.safetensors";
const CONFIG_FILE = "adapters/adapter_config.json";

/** Writes adapters beside a model, in the form of PEFT. */
export async function writeAdapters(
  target: ModelTarget,
  adapters: ModelAdapters,
  { rank, alpha }: { readonly rank: number; readonly alpha: number },
): Promise<void> {
  await writeBytes(target, ADAPTERS_FILE, saveAdapters(adapters));
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: "none",
    target_modules: modulesOf(adapters),
  };
  await writeBytes(target, CONFIG_FILE, new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`));
}

/** The modules that have adapters: `q_proj` for the map `attn.q_proj.MatMul.weight`. */
function modulesOf({ layers }: ModelAdapters): readonly string[] {
  const names = layers.flatMap((adapters) => adapters.map(({ weight }) => weight.split(".")[1]!));
  return [...new Set(names)].sort();
}
