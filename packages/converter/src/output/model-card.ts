import { type DtypeTraits, dtypes, type GgufDtype, ggufDtypes } from "@kvfold/decoder";
import { formatBytes } from "@kvfold/runtime";
import type { FoldPlan } from "../plan/fold-plan.js";
import { ggufFileDtypes, onnxDtypes } from "../plan/stored-dtype.js";
import type { CardOrigin } from "./card-origin.js";

/** The model card of every output. */
export const CARD_FILE = "README.md";

/** What stands in a card for the name of the repository that it will lie in. */
export const CARD_NAME = "OWNER/NAME";

/** What a card tells. */
export interface CardFacts {
  readonly plan: FoldPlan;
  /** What `kvfold.json` holds beside the plan: `model`, `calibration`, `goal` and `tuning` are told, where they are there. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly origin: CardOrigin;
}

/**
 * A model card as Markdown with front matter: what was done to which model, the figures that are known, how to load it, and the
 * licence of the original. It is the same for the same fold: no times are in it.
 */
export function modelCard(facts: CardFacts): string {
  const sections = [
    frontMatter(facts),
    introduction(facts),
    `## What was done\n\n${whatWasDone(facts)}`,
    `## Figures\n\n${figures(facts)}`,
    `## Use\n\n${usage(facts.plan)}`,
    `## Licence\n\n${licence(facts)}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

/** The original's repository, where `model` of the record is `owner/name@commit`. */
const repositoryOf = ({ model }: CardFacts["details"]): string | undefined =>
  typeof model === "string" ? /^([\w.-]+\/[\w.-]+)@[0-9a-f]+$/.exec(model)?.[1] : undefined;

function frontMatter({ plan, details, origin }: CardFacts): string {
  const base = repositoryOf(details);
  const fields: readonly (readonly [string, string | readonly string[]])[] = [
    ...origin.fields,
    ...(base === undefined ? [] : [["base_model", base] as const]),
    ["pipeline_tag", "text-generation"],
    ...(plan.formats.includes("onnx") ? [["library_name", "transformers.js"] as const] : []),
    ["tags", ["kvfold", "kv-cache", ...plan.formats.map((format) => TAGS[format])]],
  ];
  // JSON is YAML.
  return ["---", ...fields.map(([name, value]) => `${name}: ${JSON.stringify(value)}`), "---"].join("\n");
}

const TAGS: Readonly<Record<FoldPlan["formats"][number], string>> = {
  onnx: "onnx",
  hf: "safetensors",
  gguf: "gguf",
};

const nameOf = (details: CardFacts["details"]): string =>
  repositoryOf(details) ?? (typeof details.model === "string" ? details.model : "a language model");

function introduction({ plan, details }: CardFacts): string {
  const name = asText(nameOf(details));
  const { before, after } = plan.cacheBytesPerToken;
  const about =
    plan.method === "none"
      ? `${name} as kvfold exports it, with its whole KV cache.`
      : `${name} with a smaller KV cache: ${formatBytes(after)} per token instead of ${formatBytes(before)}, made by [kvfold](https://www.npmjs.com/package/kvfold).`;
  return `# ${name}, ${percent(plan.achieved)} of the KV cache\n\n${about}`;
}

function whatWasDone({ plan, details }: CardFacts): string {
  const heal = {
    none: "none",
    attention: "attention projections",
    both: "attention and feed-forward projections",
  };
  const rows = [
    ["family", plan.family],
    ["method", plan.method],
    ["share of the cache asked for", plan.keep],
    ["ranks of layers", plan.budget],
    ["refitted after folding", heal[plan.heal]],
    ["calibration text", describeCalibration(details.calibration)],
    ...describeTuning(details.tuning),
    ["context", `${plan.maxPositions} tokens`],
    ["written", `${plan.formats.join(", ")} in ${plan.dtypes.join(", ")}`],
  ];
  return `${table(["", ""], rows)}\n\n\`kvfold.json\` has the whole plan; \`kvfold fold ORIGINAL -o AGAIN --recipe kvfold.json${repeatedText(details)}\` repeats the fold.`;
}

function describeCalibration(calibration: unknown): string {
  if (typeof calibration !== "object" || calibration === null) return "none";
  const { files, tokens } = calibration as { readonly files?: unknown; readonly tokens?: unknown };
  const names = Array.isArray(files) ? files.join(", ") : "tokens";
  return typeof tokens === "number" ? `${names} (${tokens} tokens)` : names;
}

/** A fold that read text reads it again. */
const repeatedText = ({ calibration }: CardFacts["details"]): string =>
  describeCalibration(calibration) === "none" ? "" : " --calibration TEXT";

/** Steps of distillation after the fold, where there were any. */
function describeTuning(tuning: unknown): readonly (readonly string[])[] {
  if (typeof tuning !== "object" || tuning === null) return [];
  const { steps, rank, adapters } = tuning as Readonly<Record<"steps" | "rank" | "adapters", unknown>>;
  const place =
    adapters === "keep" ? ", kept in the folder `adapters`: the weights are as they were folded" : "";
  return [["tuned afterwards", `${String(steps)} steps, adapters of rank ${String(rank)}${place}`]];
}

function figures({ plan, details }: CardFacts): string {
  const { before, after } = plan.cacheBytesPerToken;
  const full = plan.maxPositions;
  const rows = [
    ["cache per token", formatBytes(before), formatBytes(after)],
    [`cache at ${full} tokens`, formatBytes(before * full), formatBytes(after * full)],
  ];
  return `${table(["", "original", "here"], rows)}\n\n${describeLoss(plan, details.tuning === undefined ? details.goal : undefined)}`;
}

/** What a fold that had a loss to keep within has measured. */
function describeLoss({ method }: FoldPlan, goal: unknown): string {
  if (method === "none") return "Nothing was folded, so nothing is lost but by rounding.";
  const { loss, heldOut } = (goal ?? {}) as {
    readonly loss?: unknown;
    readonly heldOut?: { readonly windows?: unknown; readonly window?: unknown };
  };
  if (typeof loss === "number")
    return `Perplexity rose by ${percent(loss)} on ${String(heldOut?.windows)} windows of ${String(heldOut?.window)} tokens of the calibration text that the fold has not seen.`;
  return "What the fold costs in quality was not measured when this was written. Measure it on your own text:\n\n```sh\nkvfold eval ORIGINAL . --text your-text.txt\n```";
}

function usage(plan: FoldPlan): string {
  const { formats, dtypes: written } = plan;
  const parts = [
    ...(formats.includes("onnx") ? onnxUsage(plan) : []),
    ...(formats.includes("hf") ? [checkpointUsage(formats.length > 1 ? `, subfolder="hf"` : "")] : []),
    ...(formats.includes("gguf") ? [ggufUsage(ggufFileDtypes(written)[0])] : []),
  ];
  return parts.join("\n\n");
}

function onnxUsage({ dtypes: written, layers, chunk }: FoldPlan): readonly string[] {
  const [dtype = "fp32"] = onnxDtypes(written);
  const sizes = new Set(
    layers.flatMap(({ keys, values }) => [keys, values]).map(({ heads, rank }) => `${heads}x${rank}`),
  );
  const needed = chunk !== undefined || sizes.size > 1 ? " (4.2 or newer)" : "";
  return [
    `In Node and browsers with transformers.js${needed}:\n\n${code("js", [
      'import { pipeline } from "@huggingface/transformers";',
      "",
      `const generator = await pipeline("text-generation", "${CARD_NAME}", { dtype: "${dtype}" });`,
      'const [{ generated_text }] = await generator("Once upon a time", { max_new_tokens: 64 });',
      "console.log(generated_text);",
    ])}`,
    `In ONNX Runtime, here for Python (\`pip install onnxruntime tokenizers\`), in this folder:\n\n${code("python", pythonProgram(dtypes[dtype]))}`,
    `With the runtime of kvfold:\n\n${code("sh", ['kvfold generate FOLDER --prompt "Once upon a time"', "kvfold serve FOLDER"])}`,
  ];
}

/** Greedy generation: whatever the graph calls past is fed back from what it calls present. */
const pythonProgram = ({ fileName, floatType }: DtypeTraits): readonly string[] => [
  "import numpy as np",
  "from onnxruntime import InferenceSession",
  "from tokenizers import Tokenizer",
  "",
  'tokenizer = Tokenizer.from_file("tokenizer.json")',
  `session = InferenceSession("onnx/${fileName}")`,
  "inputs = {value.name: value.shape for value in session.get_inputs()}",
  'pasts = [name for name in inputs if name.startswith("past_key_values.")]',
  'outputs = ["logits", *(name.replace("past_key_values", "present") for name in pasts)]',
  `feeds = {name: np.zeros((1, inputs[name][1], 0, inputs[name][3]), np.${floatType}) for name in pasts}`,
  'ids, new = [], tokenizer.encode("Once upon a time").ids',
  "for _ in range(64):",
  "    ids += new",
  '    feeds["input_ids"] = np.array([new], np.int64)',
  '    feeds["attention_mask"] = np.ones((1, len(ids)), np.int64)',
  '    feeds["position_ids"] = np.array([range(len(ids) - len(new), len(ids))], np.int64)',
  "    logits, *presents = session.run(outputs, {name: feeds[name] for name in inputs})",
  "    feeds.update(zip(pasts, presents))",
  "    new = [int(logits[0, -1].argmax())]",
  "print(tokenizer.decode(ids))",
];

const checkpointUsage = (subfolder: string): string =>
  `In Python with transformers:\n\n${code("python", [
    "from transformers import AutoModelForCausalLM",
    "",
    `model = AutoModelForCausalLM.from_pretrained("${CARD_NAME}"${subfolder})`,
  ])}`;

const ggufUsage = (dtype: GgufDtype = "fp32"): string =>
  `In llama.cpp:\n\n${code("sh", [`llama-cli -m ${ggufDtypes[dtype].fileName} -p "Once upon a time"`])}`;

function licence({ origin, details }: CardFacts): string {
  const { fields, licenseFiles } = origin;
  const named =
    fields.find(([name]) => name === "license_name") ?? fields.find(([name]) => name === "license");
  const files = licenseFiles.map((file) => `[${file}](${file})`).join(", ");
  const of = `of ${asText(nameOf(details))}, from which these weights are derived`;
  if (named !== undefined)
    return `That ${of}: ${asText([named[1]].flat().join(", "))}${files === "" ? "." : `; see ${files}.`}`;
  if (files !== "") return `That ${of}: see ${files}.`;
  return `That ${of}. Its folder named none when this was written: look it up before you share this.`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const code = (language: string, lines: readonly string[]): string =>
  `\`\`\`${language}\n${lines.join("\n")}\n\`\`\``;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows.map((row) => row.map(asText))]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");

/** Text that Markdown and HTML leave as it is, on one line: names come from files. */
const asText = (text: string): string =>
  text.replace(/\s+/g, " ").replace(/[\\|<>[\]`*]/g, (character) => `\\${character}`);
