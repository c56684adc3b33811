import { describe, expect, it } from "vitest";
import { ortMessage } from "./ort-message.js";

describe("ortMessage", () => {
  // As ONNX Runtime 1.30 says them.
  it.each([
    [
      "/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters",
      "adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters",
    ],
    [
      "Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:187 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const onnxruntime::ModelOptions&) ModelProto does not have a graph.\n",
      "Load model from m.onnx failed: ModelProto does not have a graph.",
    ],
    [
      "Non-zero status code returned while running MatMul node. Name:'/N' Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch",
      "Non-zero status code returned while running MatMul node. Name:'/N' Status Message: MatMul dimension mismatch",
    ],
    [
      "Status Message: /src/core/tensor.cc:12 virtual bool onnxruntime::Tensor::Fits(std::function<void (int)>) const size was false. Too small (12)",
      "Status Message: size was false. Too small (12)",
    ],
    [
      "Load model from m.onnx failed:Protobuf parsing failed.",
      "Load model from m.onnx failed:Protobuf parsing failed.",
    ],
    ["/a/b.cc:1 onnxruntime::Broken(", ""],
  ])("leaves out places in the sources: %s", (said, expected) => {
    expect(ortMessage(new Error(said))).toBe(expected);
  });

  it("takes whatever was thrown", () => expect(ortMessage("oops")).toBe("oops"));
});
