import { once } from "node:events";
import type { Server } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Dtype } from "@kvfold/decoder";
import type { AbortSignalLike } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { createEngine } from "../serve/engine.js";
import { HttpError } from "../serve/http-error.js";
import { createApiServer, type ServeLimits } from "../serve/http-server.js";
import { createPromptReader } from "../serve/prompt-reader.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";

export declare namespace serveModel {
  interface Options extends DeviceOptions, ServeLimits {
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    readonly dtype?: Dtype | undefined;
    /** What clients call the model; its last name unless given. */
    readonly name?: string | undefined;
    /** The address to listen at. */
    readonly host: string;
    /** 0 for one that is free. */
    readonly port: number;
    /** Sequences that are decoded at once. */
    readonly maxBatch: number;
  }
  interface Result {
    readonly url: string;
    /** What clients called the model. */
    readonly model: string;
  }
}

const OPTIONS: OptionNames<serveModel.Options> = {
  ...deviceOptions,
  model: true,
  hub: true,
  dtype: true,
  name: true,
  host: true,
  port: true,
  maxBatch: true,
  maxBodyBytes: true,
  maxNewTokens: true,
  maxQueue: true,
  timeoutSeconds: true,
};

/**
 * Serves a model over HTTP until the job is ended. The address is taken before the model is opened, which can take long, and goes to
 * `onText` as soon as requests are answered.
 *
 * @throws {CliError} `usage` for an address that cannot be listened at; and the errors of opening a model.
 */
export async function serveModel(given: serveModel.Options, context: JobContext): Promise<serveModel.Result> {
  const {
    model,
    hub,
    dtype,
    device: wanted,
    threads,
    quiet,
    ...options
  } = requireKnown("serveModel", given, OPTIONS);
  let served: createApiServer.Options | undefined;
  const server = createApiServer(() => served);
  const url = await listen(server, options);
  const serve = (what: createApiServer.Options) => {
    served = what;
  };
  try {
    const device = await openDevice({ device: wanted, threads, quiet }, context, floatType(dtype));
    const [found] = await findModels([model], hub, context);
    const name = options.name ?? found!.title.split("@")[0]!;
    return await withModels([found!], { provider: device.provider, dtype }, context, ([opened]) =>
      serveOpened(opened!, { ...options, name, server, url, serve }, context),
    );
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

interface Opened extends Omit<serveModel.Options, "model"> {
  readonly name: string;
  readonly server: Server;
  readonly url: string;
  /** Lets the server answer. */
  readonly serve: (what: createApiServer.Options) => void;
}

async function serveOpened(
  { lm, folder, config, vocabulary }: OpenedModel,
  options: Opened,
  { onText, signal }: JobContext,
): Promise<serveModel.Result> {
  const { name, host, maxBatch, server, url, serve } = options;
  const { decode } = await vocabulary.loadTokenizer();
  const prompts = await createPromptReader(folder, vocabulary, lm.maxPositions);
  const engine = createEngine(lm, { decode, stopTokens: config.eosTokens, maxBatch });
  const hostNames = isLocal(host) ? [...LOCAL_NAMES, host] : undefined;
  serve({ engine, prompts, model: name, limits: options, hostNames });
  try {
    onText(`${url}\n`);
    await untilAborted(signal);
    return { url, model: name };
  } finally {
    server.close();
    await engine.close(new HttpError(503, "the server is shutting down"));
  }
}

const LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"];

const isLocal = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.");

async function listen(
  server: Server,
  { host, port }: Pick<serveModel.Options, "host" | "port">,
): Promise<string> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason = code === "EADDRINUSE" ? "something else listens there" : (code ?? String(cause));
    throw new CliError("usage", `${host} port ${port}: ${reason}; choose another with --port or --host`, {
      cause,
    });
  }
  const address = server.address() as AddressInfo;
  const shown = isIP(host) === 6 ? `[${host}]` : host;
  return `http://${shown}:${address.port}`;
}

const POLL_MILLISECONDS = 100;

async function untilAborted(signal: AbortSignalLike): Promise<void> {
  while (!signal.aborted) await wait(POLL_MILLISECONDS);
}
