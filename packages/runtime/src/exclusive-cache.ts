import type { KvCache } from "./kv-cache.js";
import { RuntimeError } from "./runtime-error.js";

/** What errors call the owner of a cache, and how to get another: `DecodingState`, `state`, `createState`. */
interface Owner {
  readonly name: string;
  readonly noun: string;
  readonly factory: string;
}

/** A cache that one call at a time works on: two would both append after the same tokens. */
export class ExclusiveCache<C extends KvCache> {
  readonly #owner: Owner;
  #cache: C | undefined;
  #busy = false;

  constructor(cache: C, owner: Owner) {
    this.#cache = cache;
    this.#owner = owner;
  }

  /** Whatever call is under way; `undefined` after `dispose`. */
  get current(): C | undefined {
    return this.#cache;
  }

  /** @throws {RuntimeError} `disposed`, or `busy` while a call is under way. */
  available(): C {
    const { name, noun, factory } = this.#owner;
    if (this.#cache === undefined)
      throw new RuntimeError(
        "disposed",
        `${name}: used after dispose(): create another with model.${factory}()`,
      );
    if (this.#busy)
      throw new RuntimeError(
        "busy",
        `${name}: one call at a time: await the last one, or create another ${noun}`,
      );
    return this.#cache;
  }

  /** @throws {RuntimeError} as `available`, and whatever `work` throws. */
  async use<T>(work: (cache: C) => Promise<T>): Promise<T> {
    const cache = this.available();
    this.#busy = true;
    try {
      return await work(cache);
    } finally {
      this.#busy = false;
      if (this.#cache === undefined) cache.dispose();
    }
  }

  /** The tensors of a run under way are still read, and it will leave others: they go when it is done. */
  dispose(): void {
    if (!this.#busy) this.#cache?.dispose();
    this.#cache = undefined;
  }
}
