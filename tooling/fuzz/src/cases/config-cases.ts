import { type BaseModel, baseModel, knownFields, modelNames } from "../base-models.js";
import type { Choices } from "../choices.js";
import type { FuzzCase, FuzzFile } from "../fuzz-case.js";
import { HOSTILE_VALUES } from "../hostile-values.js";
import {
  type JsonPath,
  jsonPaths,
  mutateText,
  pickReplacement,
  type Replacement,
  replaceInJson,
} from "../mutate-json.js";

/** The weights of a tiny checkpoint beside a broken config.json. */
export function configCase(choices: Choices): FuzzCase {
  const model = baseModel(choices.pick(modelNames));
  const { text, mutation } = choices.pick(MUTATIONS)(model, choices);
  return {
    attempt: "checkpoint",
    files: new Map<string, FuzzFile>([
      ["config.json", text],
      ["model.safetensors", { link: model.weightsPath }],
    ]),
    mutation: `config.json of ${model.name}: ${mutation}`,
  };
}

type Mutate = (model: BaseModel, choices: Choices) => { readonly text: string; readonly mutation: string };
type Change = readonly [JsonPath, Replacement];

const ROPE_TYPES = [
  "default",
  "linear",
  "dynamic",
  "proportional",
  "yarn",
  "longrope",
  "llama3",
  "su",
  "ntk",
];
const ROPE_FIELDS = ["factor", "rope_theta", "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow"];
const MORE_ROPE_FIELDS = [
  "original_max_position_embeddings",
  "attention_factor",
  "mscale",
  "mscale_all_dim",
  "truncate",
];
const LAYER_TYPES = ["full_attention", "sliding_attention", "chunked_attention", "linear_attention"];

const changeOwnField: Mutate = ({ fields }, choices) => apply(fields, [ownChange(fields, choices)]);

const changeSeveral: Mutate = ({ fields }, choices) =>
  apply(
    fields,
    [0, 1, 2].slice(choices.int(2)).map(() => ownChange(fields, choices)),
  );

const addKnownField: Mutate = ({ fields }, choices) =>
  apply(fields, [[[choices.pick(knownFields)], choices.pick(HOSTILE_VALUES)]]);

/** A value that is right elsewhere. */
const borrowFields: Mutate = ({ fields }, choices) => {
  const other = baseModel(choices.pick(modelNames)).fields;
  const names = Array.from({ length: 1 + choices.int(4) }, () => choices.pick(Object.keys(other)));
  return apply(
    fields,
    names.map((name) => [[name], JSON.stringify(other[name])]),
  );
};

const otherConfig: Mutate = (_, choices) => {
  const other = baseModel(choices.pick(modelNames));
  return { text: JSON.stringify(other.fields), mutation: `the config of ${other.name}` };
};

const changeRope: Mutate = ({ fields }, choices) => {
  const { pick, chance } = choices;
  const members = [...ROPE_FIELDS, ...MORE_ROPE_FIELDS]
    .filter(() => chance(0.6))
    .map(
      (name) =>
        `"${name}":${chance(0.6) ? pick(["1", "2", "8", "32", "10000", "0.5", "4"]) : pick(HOSTILE_VALUES)}`,
    );
  const factors = () =>
    `[${Array.from({ length: pick([0, 1, 4, 8, 16]) }, () => pick(["1", "1.5", "4", "0", "null"])).join(",")}]`;
  if (chance(0.5)) members.push(`"short_factor":${factors()}`, `"long_factor":${factors()}`);
  const own = `{"${pick(["rope_type", "type"])}":"${pick(ROPE_TYPES)}"${members.map((member) => `,${member}`).join("")}}`;
  const rope = chance(0.3)
    ? `{"${pick(LAYER_TYPES)}":${own},"${pick(LAYER_TYPES)}":${pick([own, "null", "3"])}}`
    : own;
  const name = pick(["rope_parameters", "rope_scaling"]);
  const other: Change[] = chance(0.5) ? [[["rope_parameters"], undefined]] : [];
  return apply(fields, [...other, [[name], rope]]);
};

const changeLayerTypes: Mutate = ({ fields }, choices) => {
  const entry = () =>
    choices.chance(0.9) ? JSON.stringify(choices.pick(LAYER_TYPES)) : choices.pick(HOSTILE_VALUES);
  const list = `[${Array.from({ length: choices.int(8) }, entry).join(",")}]`;
  return apply(fields, [[[choices.pick(["layer_types", "no_rope_layers"])], list]]);
};

const changeModelType: Mutate = ({ fields }, choices) => {
  const others = modelNames.map((name) => String(baseModel(name).fields.model_type));
  const type = choices.pick([
    ...others,
    ...others,
    "mixtral",
    "bert",
    "deepseek_v3",
    "gemma3n",
    "qwen9",
    "LLAMA",
    "",
  ]);
  return apply(fields, [[["model_type"], JSON.stringify(type)]]);
};

const changeText: Mutate = ({ fields }, choices) => mutateText(JSON.stringify(fields, null, 2), choices);

const MUTATIONS: readonly Mutate[] = [
  changeOwnField,
  changeOwnField,
  changeOwnField,
  changeOwnField,
  changeOwnField,
  changeOwnField,
  changeSeveral,
  changeSeveral,
  addKnownField,
  addKnownField,
  borrowFields,
  otherConfig,
  changeRope,
  changeRope,
  changeLayerTypes,
  changeModelType,
  changeText,
];

function ownChange(fields: Readonly<Record<string, unknown>>, choices: Choices): Change {
  return [choices.pick(jsonPaths(fields, 3)), pickReplacement(choices)];
}

function apply(fields: Readonly<Record<string, unknown>>, changes: readonly Change[]) {
  const shown = changes.map(([path, text]) => `${path.join(".")} = ${text?.slice(0, 60) ?? "removed"}`);
  return { text: replaceInJson(fields, changes), mutation: shown.join("; ") };
}
