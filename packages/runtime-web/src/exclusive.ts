const tails: WeakMap<object, Promise<unknown>> = /*@__PURE__*/ new WeakMap();

/**
 * Runs `work` when all earlier work on the same thing is done. An ONNX Runtime that waits for a GPU is a single stack of
 * WebAssembly that was put aside: whoever enters it meanwhile, for whichever session, destroys that stack.
 */
export function exclusively<T>(thing: object, work: () => Promise<T>): Promise<T> {
  const before = tails.get(thing) ?? Promise.resolve();
  const result = before.then(work);
  tails.set(
    thing,
    result.catch(() => {}),
  );
  return result;
}
