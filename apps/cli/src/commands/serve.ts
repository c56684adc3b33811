import type { Dtype } from "@kvfold/decoder";
import { Command, InvalidArgumentError, Option } from "commander";
import { addDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import type { CommandHost } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import { addCommonOptions, byteCount, type CommonOptions, dtypeOption, wholeNumber } from "./options.js";

interface ServeFlags extends CommonOptions, DeviceFlags, HubFlags {
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly maxNewTokens: number;
  readonly maxBody: number;
  readonly timeout: number;
  readonly dtype?: Dtype;
}

const MAX_PORT = 65_535;

function portNumber(text: string): number {
  const port = wholeNumber(0)(text);
  if (port <= MAX_PORT) return port;
  throw new InvalidArgumentError(`Expected a port up to ${MAX_PORT}.`);
}

/** `kvfold serve`: a model over HTTP. */
export const createServeCommand = (host: CommandHost): Command =>
  addCommonOptions(
    addDeviceOptions(addHubOptions(new Command("serve")))
      .summary("serve a model over HTTP, with an OpenAI-compatible API")
      .description(
        "Serves a model over HTTP with an OpenAI-compatible API (/v1/chat/completions, /v1/completions, /v1/models, /health) until it is interrupted.\nRequests are decoded together, and no data is kept.",
      )
      .argument("<model>", "folder with onnx/model.onnx, .onnx file, checkpoint, or owner/name on the Hub")
      .option("--host <address>", "address to listen at; 0.0.0.0 lets other machines in", "127.0.0.1")
      .option("--port <number>", "port to listen at; 0 takes one that is free", portNumber, 8000)
      .option("--name <name>", "what clients call the model (default: the folder's name)")
      .option("--max-batch <count>", "requests that are decoded at once", wholeNumber(1), 8)
      .option(
        "--max-queue <count>",
        "requests that wait for their turn; more get status 429",
        wholeNumber(1),
        128,
      )
      .option("--max-new-tokens <count>", "most tokens of an answer", wholeNumber(1), 1024)
      .addOption(
        new Option("--max-body <size>", "largest body of a request")
          .argParser(byteCount)
          .default(2 ** 20, "1MiB"),
      )
      .option("--timeout <seconds>", "longest time of a request, waiting included", wholeNumber(1), 300)
      .addOption(dtypeOption())
      .addHelpText("after", HELP)
      .action((model: string, flags: ServeFlags) => runServe(host, model, flags)),
  );

const HELP = `
Example:
  kvfold serve ./model-half --port 8000
  curl http://127.0.0.1:8000/v1/chat/completions -H "content-type: application/json" \\
    -d '{ "messages": [{ "role": "user", "content": "What is a KV cache?" }], "stream": true }'`;

async function runServe(host: CommandHost, model: string, flags: ServeFlags): Promise<void> {
  const { revision, token, cacheDir, dtype, port, name, timeout, maxBody, quiet } = flags;
  const { maxBatch, maxQueue, maxNewTokens } = flags;
  const options = {
    model,
    hub: hubOf({ revision, token, cacheDir }),
    dtype,
    ...deviceOf(flags),
    name,
    host: flags.host,
    port,
    maxBatch,
    maxQueue,
    maxNewTokens,
    maxBodyBytes: maxBody,
    timeoutSeconds: timeout,
  };
  const onText = (text: string) =>
    host.write(flags.json ? `${JSON.stringify({ url: text.trim() })}\n` : text);
  await host.run("serve", options, { quiet, onText });
}
