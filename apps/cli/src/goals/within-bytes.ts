import { ConverterError, planFold } from "@kvfold/converter";
import { shareWithinBytes } from "@kvfold/converter/internals";
import type { ModelConfig } from "@kvfold/decoder";
import { type FoldChoice, foldChoices } from "./candidates.js";

/** A way to fold, and how far. */
export interface SettledChoice extends FoldChoice {
  readonly keep: string;
}

/**
 * The ways to fold with which a token's cache takes no more than so many bytes, each with the largest share that does; in
 * order of preference. Where the whole cache fits there is one, which folds nothing.
 *
 * @throws {ConverterError} as `shareWithinBytes`, where no way is left.
 */
export function choicesWithinBytes(
  config: ModelConfig,
  options: Omit<planFold.Options, "keep">,
  maxBytes: number,
): readonly SettledChoice[] {
  const { method } = options;
  if (method === undefined && bytesOf(config, { ...options, keep: "1" }) <= maxBytes) return [{ keep: "1" }];
  const settle = (choice: FoldChoice): SettledChoice => ({
    ...choice,
    keep: shareWithinBytes(config, { ...options, ...choice }, maxBytes),
  });
  const choices = foldChoices(config, options);
  const settled = choices.flatMap((choice) => withoutTooLarge(() => settle(choice)));
  return settled.length > 0 ? settled : [settle(choices[0]!)];
}

const bytesOf = (config: ModelConfig, options: planFold.Options): number =>
  planFold(config, options).cacheBytesPerToken.after;

/** Methods that keep whole heads have a larger least share than others. */
function withoutTooLarge(settle: () => SettledChoice): readonly SettledChoice[] {
  try {
    return [settle()];
  } catch (error) {
    if (ConverterError.isInstance(error) && error.option === "maxBytes") return [];
    throw error;
  }
}
