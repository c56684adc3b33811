/** A list of policies that cannot be read, or whose policies do not go together. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}
