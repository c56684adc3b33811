import {
  AutoModelForCausalLM,
  AutoTokenizer,
  env,
  LogLevel,
  pipeline,
  Tensor,
} from "@huggingface/transformers";

export interface Continuation {
  /** Tokens of the prompt, as the model's own tokenizer finds them. */
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

export interface ContinueOptions {
  readonly device: "wasm" | "webgpu";
  readonly dtype: "fp32" | "q4";
  readonly prompt: string;
  readonly count: number;
}

/** What tests call in the page. */
export interface TransformersApi {
  readonly continueTokens: typeof continueTokens;
  readonly continueText: typeof continueText;
}

// As a page that has all its files itself: it would ask the Hub, and a CDN for ONNX Runtime's own files, otherwise.
env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/models/";
env.backends.onnx.wasm!.wasmPaths = "/transformers-ort/";
// It warns of what it cannot know (a file's length, a missing generation_config).
env.logLevel = LogLevel.ERROR;

const toNumbers = ({ data }: Tensor): readonly number[] => Array.from(data as BigInt64Array, Number);

async function continueTokens(
  model: string,
  { device, dtype, prompt, count }: ContinueOptions,
): Promise<Continuation> {
  const tokenizer = await AutoTokenizer.from_pretrained(model);
  const lm = await AutoModelForCausalLM.from_pretrained(model, { device, dtype });
  const { input_ids } = tokenizer(prompt) as { input_ids: Tensor };
  const ones = new BigInt64Array(input_ids.data.length).fill(1n);
  const attention_mask = new Tensor("int64", ones, input_ids.dims);
  const all = (await lm.generate({
    input_ids,
    attention_mask,
    max_new_tokens: count,
    do_sample: false,
  })) as Tensor;
  await lm.dispose();
  const ids = toNumbers(input_ids);
  return { prompt: ids, tokens: toNumbers(all).slice(ids.length) };
}

/** The prompt and what follows it. */
async function continueText(
  model: string,
  { device, dtype, prompt, count }: ContinueOptions,
): Promise<string> {
  const write = await pipeline("text-generation", model, { device, dtype });
  const [made] = (await write(prompt, { max_new_tokens: count, do_sample: false })) as [
    { readonly generated_text: string },
  ];
  await write.dispose();
  return made.generated_text;
}

const api: TransformersApi = { continueTokens, continueText };
Object.assign(globalThis, { transformers: api });
