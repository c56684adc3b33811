/**
 * Keeps ONNX Runtime from reporting to its makers. Official builds from 1.29 on do on Linux and macOS too: they send
 * events about models and sessions, and leave an identifier and logs in the temporary folder
 * (microsoft/onnxruntime#27379). Call it on the main thread, before ONNX Runtime is loaded: workers only see a copy of
 * the environment that native code reads. Who sets the variable has the last word.
 */
export function disableTelemetry(environment: NodeJS.ProcessEnv = process.env): void {
  environment.ORT_DISABLE_TELEMETRY ??= "1";
}
