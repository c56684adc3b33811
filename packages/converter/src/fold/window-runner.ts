import {
  deviceHiddenStates,
  emptyStage,
  type HiddenStatesFactory,
  memoryHiddenStates,
  runStage,
  type StageResult,
  type Streams,
  streamFeeds,
} from "@kvfold/calibration";
import type { AbortSignalLike, ModelSource, Session, SessionProvider } from "@kvfold/runtime";
import { windowsWithin } from "./text-share.js";

/** Everything that runs over calibration windows has this in common. */
export interface WindowRun {
  /** Token windows of one length. */
  readonly windows: readonly Int32Array[];
  /** Which window of the text they begin with, 0 unless given. */
  readonly first?: number | undefined;
  readonly provider: SessionProvider;
  readonly hiddenStates?: HiddenStatesFactory | undefined;
  readonly onWindow?: (() => void) | undefined;
  readonly signal?: AbortSignalLike | undefined;
}

/** Runs calibration graphs over the windows. */
export interface WindowRunner {
  readonly count: number;
  /** Tokens of a window. */
  readonly length: number;
  /** Runs `graph` over all windows, or those among the first `limit` of the text; over none, the sums are zero. */
  run(graph: ModelSource, options: WindowRunner.Options): Promise<StageResult>;
  /** Empty hidden states of width `D` for all windows. */
  createStream(width: number): ReturnType<HiddenStatesFactory>;
}

export declare namespace WindowRunner {
  interface Options extends Pick<runStage.Options, "moments" | "crosses" | "share"> {
    readonly inputs?: Streams;
    readonly outputs?: Streams;
    /** In place of `inputs`, for graphs that do not start from hidden states. */
    readonly feeds?: runStage.Options["feeds"];
    readonly limit?: number;
  }
}

/** A runner over `windows`; a session lives as long as its graph's run. */
export function createWindowRunner(options: WindowRun): WindowRunner {
  const { windows, first = 0, provider, onWindow, signal } = options;
  const length = windows[0]!.length;
  const hiddenStates = statesFactory(options);
  return {
    count: windows.length,
    length,
    createStream: (width) => hiddenStates(windows.length, length * width),
    async run(graph, { inputs = {}, limit, feeds = streamFeeds(inputs, length), ...stage }) {
      const count = windowsWithin(limit, windows.length, first);
      if (count === 0) return emptyStage(stage);
      return withSession(provider, graph, (session) =>
        runStage({ session, windows: count, length, feeds, onWindow, signal, ...stage }),
      );
    },
  };
}

/** Hidden states stay on the device that runs the graphs, where it has memory for them. */
function statesFactory({
  windows,
  provider,
  hiddenStates: host = memoryHiddenStates,
}: WindowRun): HiddenStatesFactory {
  if (provider.openMemory === undefined) return host;
  const openMemory = () => provider.openMemory!();
  return deviceHiddenStates({ openMemory, length: windows[0]!.length, host });
}

async function withSession<T>(
  provider: SessionProvider,
  source: ModelSource,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  // Packed weights are copies that a few hundred windows do not pay for: large products pack what they need by themselves.
  const session = await provider.createSession(source, { prepack: false });
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}
