const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

/** JSON texts that stand in for a value: what generators get wrong, and what an attacker would try. */
export const HOSTILE_VALUES: readonly string[] = [
  ...["null", "true", "false", "0", "-0", "1", "2", "3", "7", "16", "64", "-1", "0.5", "-2.5", "1.0000001"],
  ...["1e3", "4096", "65536", "1e6", "1e9", "2147483647", "2147483648", "4294967296", "-2147483648"],
  ...[
    "9007199254740991",
    "9007199254740992",
    "18446744073709551616",
    "1e20",
    "1e38",
    "1e39",
    "1e154",
    "1e308",
  ],
  ...["1e400", "-1e400", "1e-7", "1e-45", "5e-324", "1e-400", "-1e-9"],
  ...['""', '"NaN"', '"Infinity"', '"0"', '"16"', '"null"', '"default"', '"full_attention"', '"yarn"'],
  ...[
    '"__proto__"',
    '"constructor"',
    '"toString"',
    '"../../x"',
    '"\\u0000"',
    '"\\u001b[31mred"',
    '"\\ud800"',
  ],
  ...["[]", "[0]", "[1,2]", "[0.5,null]", "[[[1]]]", '["a"]', "{}", '{"a":1}', '{"length":1e9}'],
  ...['{"toString":1,"valueOf":1}', '{"__proto__":{"x":1}}', '{"type":"yarn"}', '{"content":{"content":1}}'],
  JSON.stringify("x".repeat(20_000)),
  JSON.stringify("\u0080\u009b31m\u202e"),
  JSON.stringify(Array.from({ length: 3000 }, (_, index) => index)),
  JSON.stringify(Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, index]))),
  nested(20_000, "[", "]"),
  `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
  // Not JSON, although Python writes them.
  "NaN",
  "Infinity",
];
