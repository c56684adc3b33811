"""Lets a folded model go on with a prompt, with ONNX Runtime for Python (pip install onnxruntime tokenizers).

python examples/generate.py MODEL [PROMPT] [TOKENS]
"""

import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder = sys.argv[1]
prompt = sys.argv[2] if len(sys.argv) > 2 else "It was a dark and stormy night"
count = int(sys.argv[3]) if len(sys.argv) > 3 else 48
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
session = onnxruntime.InferenceSession(f"{folder}/onnx/model.onnx")

caches = [value for value in session.get_inputs() if value.name.startswith("past_key_values.")]
past = {value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32) for value in caches}
presents_of_past = [name.replace("past_key_values", "present") for name in past]
ids = new = tokenizer.encode(prompt, add_special_tokens=False).ids
for _ in range(count):
    feeds = {
        "input_ids": np.array([new]),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "position_ids": np.array([range(len(ids) - len(new), len(ids))]),
    }
    feeds = {value.name: feeds[value.name] for value in session.get_inputs() if value.name in feeds}
    logits, *presents = session.run(["logits", *presents_of_past], feeds | past)
    past = dict(zip(past, presents))
    new = [int(logits[0, -1].argmax())]
    ids = ids + new
print(tokenizer.decode(ids, skip_special_tokens=True))
