import {
  advanceBatch,
  type CausalLM,
  createRandom,
  createTextStream,
  type DecodingBatch,
  type FinishReason,
  type Logits,
  type sampleToken as sample,
  sampleToken,
  type TextStream,
} from "@kvfold/runtime";

/** A text to continue. Its functions are called as the tokens come. */
export interface GenerationJob {
  /** One token or more, no more than the model has positions. */
  readonly prompt: readonly number[];
  readonly sampling: sample.Options;
  /** Start of the random numbers. */
  readonly seed: number;
  readonly maxNewTokens: number;
  /** Texts that end the generation; they are not part of it. */
  readonly stop: readonly string[];
  /** Nobody waits for it any more: its cache is given back at the next step. */
  readonly isCancelled: () => boolean;
  readonly onText: (text: string) => void;
  /** `tokens` were drawn, one that ended the text not among them. */
  readonly onEnd: (reason: FinishReason | "stop-text", tokens: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Decodes all jobs that there are in one batch, which new ones join between two steps. */
export interface Engine {
  submit(job: GenerationJob): void;
  /** Jobs that are being decoded. */
  readonly active: number;
  readonly waiting: number;
  readonly cacheBytes: number;
  /** Ends all jobs with an error, and waits for the step that is under way. */
  close(error: Error): Promise<void>;
}

export declare namespace createEngine {
  interface Options {
    readonly decode: (tokens: readonly number[]) => string;
    /** Tokens that end a text. */
    readonly stopTokens: readonly number[];
    /** Sequences that are decoded at once. */
    readonly maxBatch: number;
  }
}

/** A job that is being decoded. */
interface Active {
  readonly job: GenerationJob;
  /** The prompt, and what has been drawn after it, of which the last token is still to be read. */
  readonly tokens: number[];
  readonly stream: TextStream;
  readonly random: ReturnType<typeof createRandom>;
}

/**
 * Starts without any job. Jobs are taken in their order; each draws the tokens that it would draw alone, but where rounding tips
 * a close choice. Functions of jobs do not throw.
 */
export function createEngine(lm: CausalLM, options: createEngine.Options): Engine {
  const waiting: GenerationJob[] = [];
  let active: readonly Active[] = [];
  let batch: DecodingBatch | undefined;
  let working: Promise<void> | undefined;
  let closed: Error | undefined;

  const begin = (job: GenerationJob): Active => ({
    job,
    tokens: [...job.prompt],
    stream: createTextStream(options.decode, { stopStrings: job.stop, after: job.prompt }),
    random: createRandom(job.seed),
  });

  /** Goes on with some of the active jobs; without any the cache is given back. */
  const keep = (rows: readonly number[]): void => {
    if (rows.length === active.length) return;
    active = rows.map((row) => active[row]!);
    if (rows.length > 0) batch!.keep(rows);
    else giveBack();
  };

  const giveBack = (): void => {
    batch?.dispose();
    batch = undefined;
  };

  const failActive = (error: unknown): void => {
    for (const { job } of active) job.onError(error);
    active = [];
    giveBack();
  };

  /** The next jobs that can come in now, in their order: one that is too long for now holds up those after it. */
  const nextJobs = (): readonly GenerationJob[] => {
    const taken: GenerationJob[] = [];
    while (waiting.length > 0 && active.length + taken.length < options.maxBatch) {
      const [job] = waiting;
      if (!job!.isCancelled()) {
        if (batch !== undefined && !batch.takes(job!.prompt.length)) break;
        taken.push(job!);
      }
      waiting.shift();
    }
    return taken;
  };

  const admit = async (): Promise<void> => {
    const jobs = nextJobs();
    if (jobs.length === 0) return;
    const prompts = jobs.map(({ prompt }) => prompt);
    const started = batch ?? lm.createBatch({ size: jobs.length });
    try {
      const logits = await (batch === undefined ? started.prefill(prompts) : started.join(prompts));
      const first = active.length;
      batch = started;
      active = [...active, ...jobs.map(begin)];
      draw(logits, first);
    } catch (error) {
      if (batch === undefined) started.dispose();
      for (const job of jobs) job.onError(error);
    }
  };

  /** Draws a token for the active jobs from `first` on, and lets those go that end with it. */
  const draw = (logits: Logits, first: number): void => {
    const goes = (one: Active, row: number): boolean => {
      const token = drawToken(one, logits, row - first);
      return goesOn(one, token, lm.maxPositions, options.stopTokens);
    };
    keep(active.flatMap((one, row) => (row < first || goes(one, row) ? [row] : [])));
  };

  const dropCancelled = (): void => keep(active.flatMap(({ job }, row) => (job.isCancelled() ? [] : [row])));

  const step = async (): Promise<void> => {
    const sequences = active.map(({ tokens }) => tokens);
    const advanced = await advanceBatch(lm, batch!, sequences);
    batch = advanced.batch;
    draw(advanced.logits, 0);
  };

  const work = async (): Promise<void> => {
    while (closed === undefined && (active.length > 0 || waiting.length > 0)) {
      // Requests come in and clients go away between two steps.
      await new Promise((resolve) => setImmediate(resolve));
      try {
        dropCancelled();
        await admit();
        if (active.length > 0 && closed === undefined) await step();
      } catch (error) {
        failActive(error);
      }
    }
    working = undefined;
  };

  return {
    submit(job) {
      if (closed !== undefined) return job.onError(closed);
      waiting.push(job);
      working ??= work();
    },
    get active() {
      return active.length;
    },
    get waiting() {
      return waiting.length;
    },
    get cacheBytes() {
      return batch?.cacheBytes ?? 0;
    },
    async close(error) {
      closed = error;
      await working;
      failActive(error);
      for (const job of waiting.splice(0)) job.onError(error);
    },
  };
}

/** The next token of a job; `undefined` when it cannot be drawn, and the job has been told. */
function drawToken({ job, random }: Active, { data, columns }: Logits, row: number): number | undefined {
  try {
    return sampleToken(data.subarray(row * columns, (row + 1) * columns), job.sampling, random);
  } catch (error) {
    job.onError(error);
    return undefined;
  }
}

/** Tells a job of its token, and whether that was not the last. */
function goesOn(
  { job, tokens, stream }: Active,
  token: number | undefined,
  maxPositions: number,
  stopTokens: readonly number[],
): boolean {
  if (token === undefined) return false;
  const count = () => tokens.length - job.prompt.length;
  const end = (reason: FinishReason | "stop-text"): false => {
    tell(job, stream.flush());
    job.onEnd(reason, count());
    return false;
  };
  if (stopTokens.includes(token)) return end("stop-token");
  tokens.push(token);
  tell(job, stream.push(token));
  if (stream.stopped) return end("stop-text");
  if (count() === job.maxNewTokens) return end("max-new-tokens");
  return tokens.length > maxPositions ? end("max-positions") : true;
}

function tell(job: GenerationJob, text: string): void {
  if (text !== "") job.onText(text);
}
