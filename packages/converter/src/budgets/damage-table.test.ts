import { describe, expect, it } from "vitest";
import { damageTable } from "./damage-table.js";

describe("damageTable", () => {
  it("draws lines between measured ranks and to the whole layer, which costs nothing", () => {
    const table = damageTable(
      [
        { units: 2, damage: 9 },
        { units: 4, damage: 3 },
      ],
      7,
    );
    expect(table.map(({ units }) => units)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(table.map(({ damage }) => damage)).toEqual([9, 6, 3, 2, 1, 0]);
  });

  it("takes for noise what rises with the rank or gains", () => {
    const table = damageTable(
      [
        { units: 1, damage: 4 },
        { units: 2, damage: 5 },
        { units: 3, damage: -1 },
      ],
      4,
    );
    expect(table.map(({ damage }) => damage)).toEqual([4, 4, 0, 0]);
  });

  it("is the whole layer where nothing was measured", () => {
    expect(damageTable([], 1)).toEqual([{ units: 1, damage: 0 }]);
  });
});
