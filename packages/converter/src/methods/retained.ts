/** Share of the energy that each group's basis keeps; see `Basis.retained`. */
export interface Retained {
  readonly keys: readonly (number | undefined)[];
  readonly values: readonly (number | undefined)[];
}
