import { type FolderSource, readConfig } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { planFold } from "../plan/plan-fold.js";
import { readCardOrigin } from "./card-origin.js";
import { modelCard } from "./model-card.js";

const config = readConfig(JSON.stringify(tinyLlama));

/** A folder with these files. */
const folderOf = (files: Readonly<Record<string, string>>): FolderSource => ({
  name: "memory",
  readText: async (file) => files[file],
  openBytes: async (file) =>
    file in files ? { byteLength: 1, read: async () => new Uint8Array(1) } : undefined,
});

const originOf = (card: string, files = {}) => readCardOrigin(folderOf({ "README.md": card, ...files }));

describe("readCardOrigin", () => {
  it("finds the licence in the front matter, and the files of it", async () => {
    const card = `---\nlicense: other # see below\nlicense_name: "llama3.2"\nlanguage:\n- en\n- de\ntags: [a]\n---\nlicense: mit\n`;
    expect(await originOf(card, { LICENSE: "…", "USE_POLICY.md": "…" })).toEqual({
      fields: [
        ["license", "other"],
        ["license_name", "llama3.2"],
        ["language", ["en", "de"]],
      ],
      licenseFiles: ["LICENSE", "USE_POLICY.md"],
    });
    expect((await originOf("---\r\nlicense: [mit, apache-2.0]\r\n---\r\n")).fields).toEqual([
      ["license", ["mit", "apache-2.0"]],
    ]);
  });

  it.each(["", "license: mit", "---\nlicense:\n---\n", "---\nno end"])(
    "takes %j for no licence",
    async (card) => {
      expect(await originOf(card)).toEqual({ fields: [], licenseFiles: [] });
    },
  );

  it("says nothing of a card that cannot be read", async () => {
    const readText = async () => {
      throw new Error("not UTF-8");
    };
    expect(await readCardOrigin({ ...folderOf({}), readText })).toEqual({ fields: [], licenseFiles: [] });
  });
});

describe("modelCard", () => {
  const plan = planFold(config, { keep: "1/2", dtypes: ["fp16", "q4"] });
  const origin = { fields: [["license", "apache-2.0"]], licenseFiles: ["LICENSE"] } as const;
  const details = { model: "someone/tiny@0123abc", calibration: { files: ["a|b.txt"], tokens: 512 } };

  it("tells what was done, how to load it, and the licence", () => {
    const card = modelCard({ plan, details, origin });
    expect(card).toMatch(/^---\nlicense: "apache-2.0"\nbase_model: "someone\/tiny"\npipeline_tag: /);
    expect(card).toContain("# someone/tiny, 50.0 % of the KV cache");
    // 2 layers x 2 sides x 4 heads of 16 in float16.
    expect(card).toContain("| cache per token | 512 B | 256 B |");
    expect(card).toContain("| calibration text | a\\|b.txt (512 tokens) |");
    expect(card).toContain('"OWNER/NAME", { dtype: "fp16" }');
    expect(card).toContain('InferenceSession("onnx/model_fp16.onnx")');
    expect(card).toContain("np.zeros((1, inputs[name][1], 0, inputs[name][3]), np.float16)");
    expect(card).toContain("kvfold eval ORIGINAL . --text");
    expect(card).toContain("-o AGAIN --recipe kvfold.json --calibration TEXT`");
    expect(card).toContain("apache-2.0; see [LICENSE](LICENSE).");
  });

  it("says what was measured, and that a licence is not known", () => {
    const goal = { loss: 0.0123, heldOut: { windows: 4, window: 64 } };
    const nothing = { fields: [], licenseFiles: [] };
    const card = modelCard({ plan, details: { ...details, goal }, origin: nothing });
    expect(card).toContain("Perplexity rose by 1.2 % on 4 windows of 64 tokens");
    expect(card).toContain("named none");
  });

  it("shows what each format is loaded with", () => {
    const formats = ["hf", "gguf"] as const;
    const card = modelCard({
      plan: planFold(config, { keep: "1/2", method: "mean", formats, dtypes: ["q8", "fp32"] }),
      details: { model: "<b>tiny</b>\n# other" },
      origin,
    });
    expect(card).not.toContain("transformers.js");
    expect(card).not.toContain("onnxruntime");
    expect(card).toContain("-o AGAIN --recipe kvfold.json` repeats");
    expect(card).toContain('from_pretrained("OWNER/NAME", subfolder="hf")');
    expect(card).toContain("llama-cli -m model-q8_0.gguf");
    expect(card).toContain("# \\<b\\>tiny\\</b\\> # other, 50.0 %");
  });
});
