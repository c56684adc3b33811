import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  type GgufOutput,
  ggufOutput,
  readGgufTokenizer,
  streamModel,
} from "@kvfold/decoder";
import { memoryFolder } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { memorySink } from "../../../decoder/test/support/memory-sink.js";

/** A GGUF output in float32 with a tokenizer of one's own. */
export async function openGguf(
  { config }: Checkpoint,
  tokenizer: object,
  options: Pick<ggufOutput.Options, "kvHeads" | "newBiases" | "open">,
): Promise<GgufOutput> {
  const source = memoryFolder(new Map([["tokenizer.json", JSON.stringify(tokenizer)]]));
  return ggufOutput({
    config,
    dtype: "fp32",
    maxPositions: config.shape.maxPositions,
    tokenizer: await readGgufTokenizer(source, config),
    ...options,
  });
}

/** Writes a checkpoint, unfolded, as a GGUF file in a new folder below `root`. */
export async function writeGguf(root: string, checkpoint: Checkpoint, tokenizer: object): Promise<string> {
  const files = new Map<string, Uint8Array>();
  const { kvHeads } = checkpoint.config.shape;
  const output = await openGguf(checkpoint, tokenizer, {
    kvHeads,
    newBiases: false,
    open: memorySink(files),
  });
  await streamModel(checkpoint, [output]);
  const path = join(await mkdtemp(join(root, "gguf-")), output.fileName);
  await writeFile(path, files.get(output.fileName)!);
  return path;
}
