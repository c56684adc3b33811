import {
  type CausalLM,
  createCausalLM,
  type DecodingState,
  RuntimeError,
  type Session,
} from "@kvfold/runtime";
import { interruptible } from "./interruptible.js";
import { keepCache, openKeptCache } from "./kept-caches.js";

/** The one conversation that a worker keeps between calls, and its cache. One call at a time. */
export class Conversation {
  readonly #model: CausalLM;
  readonly #identity: Promise<string>;
  readonly #actions: CausalLM.CacheOptions;
  #state: DecodingState;
  /** Of the call that is under way. */
  #signal: AbortSignal | undefined;

  /**
   * @param identity - Of the model: what its caches are saved and loaded with.
   * @param actions - What acts on the cache.
   */
  constructor(
    session: Session,
    maxPositions: number | undefined,
    identity: Promise<string>,
    actions: CausalLM.CacheOptions,
  ) {
    this.#model = createCausalLM(
      interruptible(session, () => this.#signal!),
      { maxPositions },
    );
    this.#identity = identity;
    this.#actions = actions;
    this.#state = this.#model.createState(actions);
  }

  /** Does something with the state. @throws {RuntimeError} `busy` while another call does. */
  async use<T>(signal: AbortSignal, work: (model: CausalLM, state: DecodingState) => Promise<T>): Promise<T> {
    if (this.#signal !== undefined)
      throw new RuntimeError(
        "busy",
        "the conversation is in use: wait for the call before, or generate without keep",
      );
    this.#signal = signal;
    try {
      return await work(this.#model, this.#state);
    } finally {
      this.#signal = undefined;
    }
  }

  save(name: string, signal: AbortSignal): Promise<void> {
    return this.use(signal, async (_, state) => keepCache(name, state.save(await this.#identity)));
  }

  /** The tokens that it holds then. */
  load(name: string, signal: AbortSignal): Promise<readonly number[]> {
    return this.use(signal, async (model, before) => {
      this.#state = await model.loadState(await openKeptCache(name), await this.#identity, this.#actions);
      before.dispose();
      return this.#state.tokens;
    });
  }
}
