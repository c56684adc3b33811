import type { ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import type { Heal } from "../methods/heal.js";
import type { Method } from "../methods/method.js";

/** What is refitted, and what a user should know of it. */
interface HealChoice {
  readonly heal: Heal;
  readonly notices: readonly string[];
}

/**
 * What is refitted after a block is folded: what was asked for, or else the method's own choice. A model that normalises
 * the stream after a half (OPT-350m) has no stream to compare with, so it is not healed.
 *
 * @throws {ConverterError} `invalid-option` when healing was asked for and the model does not allow it.
 */
export function chooseHeal(config: ModelConfig, asked: Heal | undefined, method: Method): HealChoice {
  const heal = asked ?? method.heal ?? "none";
  if (heal === "none" || !normalisesStream(config)) return { heal, notices: [] };
  const reason = `${config.family.name} normalises the residual stream after each half of a block, and refits cannot aim through that`;
  if (asked !== undefined)
    throw new ConverterError(
      "invalid-option",
      `heal ${asked}: ${reason}; leave it out, or choose heal none`,
      {
        option: "heal",
      },
    );
  return { heal: "none", notices: [`nothing is healed: ${reason}`] };
}

const normalisesStream = ({ blocks }: ModelConfig): boolean =>
  blocks.some(({ attentionNorms, mlpNorms }) => attentionNorms.residual ?? mlpNorms.residual);
