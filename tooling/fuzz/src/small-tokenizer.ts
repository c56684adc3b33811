const LETTERS = [...Array.from("abcdefghijklmnopqrstuvwxyz"), "Ġ", "Ċ", "<", ">", "/", "!"];
const MERGES = ["h e", "l l", "he ll", "hell o", "w o", "r l", "Ġ wo"];
const SPECIAL = ["<s>", "</s>", "<unk>"];
const vocabulary = [...SPECIAL, ...LETTERS, ...MERGES.map((pair) => pair.replace(" ", ""))];

/** A byte-level BPE tokenizer as small as one can be that has every part of the large ones. */
export const SMALL_TOKENIZER = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: SPECIAL.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: { type: "NFC" },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: { Regex: "\\s?\\p{L}+|\\s+|[^\\s\\p{L}]+" },
        behavior: "Isolated",
        invert: false,
      },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] } },
  },
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: "<unk>",
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    merges: MERGES,
  },
};

export const SMALL_TOKENIZER_CONFIG = {
  tokenizer_class: "PreTrainedTokenizerFast",
  bos_token: "<s>",
  eos_token: { content: "</s>", lstrip: false },
  unk_token: "<unk>",
  add_bos_token: true,
  model_max_length: 128,
  chat_template:
    "{% for message in messages %}{{ bos_token }}{{ message.role }}: {{ message['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
};

export const SMALL_GENERATION_CONFIG = {
  bos_token_id: 0,
  eos_token_id: [1, 2],
  pad_token_id: 0,
  max_length: 20,
};
