import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { memorySink } from "../../test/support/memory-sink.js";
import { dtypes } from "../graph/dtype.js";
import { type OpenSink, onnxOutput } from "./onnx-output.js";
import { streamModel } from "./stream-model.js";

async function write(open: OpenSink, caches: Pick<onnxOutput.Options, "cachePrecisions"> = {}) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  const { config } = checkpoint;
  const shape = { attention: "group-query", maxPositions: 64, dtype: "fp32" } as const;
  const output = onnxOutput({ config, ...shape, open, ...caches });
  await streamModel(checkpoint, [output]);
  return output;
}

/** A disk with room for `capacity` bytes, which counts the files that are open. */
function smallDisk(capacity: number): { readonly open: OpenSink; openFiles(): number } {
  let written = 0;
  let openFiles = 0;
  const open: OpenSink = async () => {
    openFiles++;
    return {
      write: async (bytes) => {
        written += bytes.byteLength;
        if (written > capacity) throw new Error("ENOSPC: no space left on device");
      },
      close: async () => {
        openFiles--;
      },
    };
  };
  return { open, openFiles: () => openFiles };
}

describe("onnxOutput", () => {
  it("names its files as transformers.js looks for them", async () => {
    const names = Object.values(dtypes).map(({ fileName }) => fileName);
    expect(names).toEqual(["model.onnx", "model_fp16.onnx", "model_q4.onnx"]);
    const files = new Map<string, Uint8Array>();
    const output = await write(memorySink(files));
    expect(output.dataFiles).toEqual(["model.onnx_data"]);
    expect([...files.keys()]).toEqual([
      "model.onnx_data",
      "model.onnx",
      "model_delta.onnx",
      "model_policy.onnx",
    ]);
  });

  it("writes graphs of quantised caches on request, over the same weights", async () => {
    const [files, more] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    await write(memorySink(files));
    await write(memorySink(more), { cachePrecisions: ["int8", "int4"] });
    const names = ["model_policy_int8.onnx", "model_policy_int4.onnx"];
    expect([...more.keys()]).toEqual([...files.keys(), ...names]);
    expect(more.get("model.onnx_data")).toEqual(files.get("model.onnx_data"));
  });

  it.each([0, 1000, 60_000])(
    "rejects when the disk is full after %i bytes, and closes its file",
    async (bytes) => {
      const disk = smallDisk(bytes);
      await expect(write(disk.open)).rejects.toThrow(
        expect.objectContaining({
          code: "write-failed",
          message: "model.onnx_data: weights could not be written (ENOSPC: no space left on device)",
        }),
      );
      expect(disk.openFiles()).toBe(0);
    },
  );

  it("closes the model file too when there is no room for it", async () => {
    const files = new Map<string, Uint8Array>();
    await write(memorySink(files));
    const disk = smallDisk(files.get("model.onnx_data")!.byteLength);
    await expect(write(disk.open)).rejects.toThrow("ENOSPC");
    expect(disk.openFiles()).toBe(0);
  });
});
