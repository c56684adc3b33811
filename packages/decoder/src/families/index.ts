import { arcee } from "./arcee.js";
import { bloom } from "./bloom.js";
import { cohere, cohere2 } from "./cohere.js";
import { ernie45 } from "./ernie4-5.js";
import { exaone4 } from "./exaone4.js";
import { falcon } from "./falcon.js";
import type { Family } from "./family.js";
import { gemma, gemma2, gemma3 } from "./gemma.js";
import { glm, glm4 } from "./glm.js";
import { gptNeox } from "./gpt-neox.js";
import { gpt2, gptBigcode } from "./gpt2.js";
import { granite } from "./granite.js";
import { helium } from "./helium.js";
import { hunyuan } from "./hunyuan.js";
import { internlm2 } from "./internlm2.js";
import { llama } from "./llama.js";
import { ministral, mistral } from "./mistral.js";
import { mpt } from "./mpt.js";
import { nemotron } from "./nemotron.js";
import { olmo2, olmo3 } from "./olmo.js";
import { opt } from "./opt.js";
import { phi } from "./phi.js";
import { phi3 } from "./phi3.js";
import { qwen2, qwen3 } from "./qwen.js";
import { seedOss } from "./seed-oss.js";
import { smollm3 } from "./smollm3.js";
import { stablelm } from "./stablelm.js";
import { starcoder2 } from "./starcoder2.js";

/** All model families that kvfold reads. A caller of `readConfig` may add more. */
export const families: readonly Family[] = [
  llama,
  mistral,
  ministral,
  qwen2,
  qwen3,
  gemma,
  gemma2,
  gemma3,
  phi,
  phi3,
  olmo2,
  olmo3,
  granite,
  smollm3,
  gptNeox,
  gpt2,
  gptBigcode,
  opt,
  falcon,
  mpt,
  bloom,
  cohere,
  cohere2,
  glm,
  glm4,
  stablelm,
  starcoder2,
  nemotron,
  exaone4,
  ernie45,
  hunyuan,
  internlm2,
  seedOss,
  arcee,
  helium,
];
