/** A function that works out its value once for each key: nodes that several blocks share are written once. */
export function memoise<Input, Output>(
  keyOf: (input: Input) => string,
  emit: (input: Input, index: number) => Output,
): (input: Input) => Output {
  const values = new Map<string, Output>();
  return (input) => {
    const key = keyOf(input);
    const known = values.get(key);
    if (known !== undefined) return known;
    const value = emit(input, values.size);
    values.set(key, value);
    return value;
  };
}

/** The same for a value without input. */
export const once = <Output>(emit: () => Output): (() => Output) => {
  const value = memoise<undefined, Output>(() => "", emit);
  return () => value(undefined);
};
