import { bloom } from "./bloom.js";
import type { Family } from "./family.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { qwen2 } from "./qwen2.js";

/** All model families that kvfold reads. */
export const families: readonly Family[] = [llama, mistral, qwen2, bloom];
