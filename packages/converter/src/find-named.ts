import { ConverterError } from "./converter-error.js";

/** The entry of a registry; `kind` is what the registry holds, for the message. */
export function findNamed<T extends { readonly name: string }>(
  kind: string,
  registry: readonly T[],
  name: string,
): T {
  const found = registry.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  const known = registry.map((candidate) => candidate.name).join(", ");
  throw new ConverterError(
    "invalid-option",
    `${kind} ${JSON.stringify(name)} is unknown; choose one of ${known}`,
  );
}
