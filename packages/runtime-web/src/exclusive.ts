const tails: WeakMap<object, Promise<unknown>> = /*@__PURE__*/ new WeakMap();

/**
 * Runs `work` when all earlier work on the same thing is done. An ONNX Runtime that waits for a GPU is a single stack of
 * WebAssembly that was put aside: whoever enters it meanwhile, for whichever session, destroys that stack.
 */
export function exclusively<T>(thing: object, work: () => Promise<T>): Promise<T> {
  const result = (tails.get(thing) ?? Promise.resolve()).then(work);
  // Without what came of it, which may be large.
  const done = (): void => {};
  tails.set(thing, result.then(done, done));
  return result;
}
