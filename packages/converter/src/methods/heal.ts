/** What is refitted after a block is folded: nothing, the attention's projections, or those of the MLP too. */
export type Heal = "none" | "attention" | "both";
