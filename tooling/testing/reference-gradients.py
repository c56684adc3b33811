"""
Gradients of the first block of small decoders, by PyTorch in float64: what autodiff's are compared with
(packages/autodiff/test/reference-gradients.test.ts). Blocks are written with torch's own operators, by what the families' papers
and configurations say; autograd does the rest. Run it once, from the root of the repository:

    python3 tooling/testing/reference-gradients.py

It writes packages/autodiff/testdata/reference-gradients.json, with torch 1.13 or newer. Nothing else runs it.
"""

import json
import math
import struct
from pathlib import Path

import torch

FAMILIES = Path("packages/decoder/testdata/families")
OUTPUT = Path("packages/autodiff/testdata/reference-gradients.json")
LENGTH = 12  # more than the 8 tokens of Gemma's windows
torch.set_default_dtype(torch.float64)


def numbers(dims, seed, low=-1.0, high=1.0):
    """The generator of packages/autodiff/test/support/random.ts."""
    state = (seed * 2654435761) % 2**32
    values = []
    for _ in range(8 + math.prod(dims)):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(low + (high - low) * state / 2**32)
    return torch.tensor(values[8:]).reshape(dims)


def read_tensors(path):
    """The tensors of a safetensors file of float32."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        start, end = (8 + size + offset for offset in info["data_offsets"])
        flat = torch.frombuffer(bytearray(content[start:end]), dtype=torch.float32)
        tensors[name] = flat.reshape(info["shape"]).double()
    return tensors


# ---- The weights of a block by the names of kvfold's graphs, matrices [inputs, outputs] ----


def read_block(family, config):
    tensors = read_tensors(FAMILIES / family / "model.safetensors")
    prefix = {"gpt2": "transformer.h.0.", "bloom": "transformer.h.0.", "falcon-mqa": "transformer.h.0.", "gpt_neox": "gpt_neox.layers.0."}
    start = prefix.get(family, "model.layers.0.")
    own = {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}
    weights = {}
    for module, target in MODULES[family].items():
        for kind in ("weight", "bias"):
            if f"{module}.{kind}" in own:
                place(weights, target, kind, own[f"{module}.{kind}"], family, config)
    if family == "falcon-mqa":  # both halves read one norm, of which kvfold's graphs hold two copies
        for kind in ("weight", "bias"):
            weights[f"post_attention_layernorm.{kind}"] = weights[f"input_layernorm.{kind}"]
    return weights


NORMS = {"input_layernorm": "input_layernorm", "post_attention_layernorm": "post_attention_layernorm"}
LLAMA = {f"self_attn.{p}_proj": f"attn.{p}_proj" for p in "qkvo"} | {f"mlp.{p}_proj": f"mlp.{p}_proj" for p in ("gate", "up", "down")}
MODULES = {
    "llama": NORMS | LLAMA,
    "nemotron": NORMS | LLAMA,
    "gemma2": LLAMA
    | {
        "input_layernorm": "input_layernorm",
        "post_attention_layernorm": "attn.output_layernorm",
        "pre_feedforward_layernorm": "post_attention_layernorm",
        "post_feedforward_layernorm": "mlp.output_layernorm",
    },
    "olmo2": LLAMA
    | {
        "self_attn.q_norm": "attn.q_norm.norm",
        "self_attn.k_norm": "attn.k_norm.norm",
        "post_attention_layernorm": "attn.output_layernorm",
        "post_feedforward_layernorm": "mlp.output_layernorm",
    },
    "gpt2": {
        "ln_1": "input_layernorm",
        "ln_2": "post_attention_layernorm",
        "attn.c_attn": "columns of q, k, v",
        "attn.c_proj": "attn.o_proj",
        "mlp.c_fc": "mlp.up_proj",
        "mlp.c_proj": "mlp.down_proj",
    },
    "bloom": NORMS
    | {
        "self_attention.query_key_value": "heads of q, k, v",
        "self_attention.dense": "attn.o_proj",
        "mlp.dense_h_to_4h": "mlp.up_proj",
        "mlp.dense_4h_to_h": "mlp.down_proj",
    },
    "gpt_neox": NORMS
    | {
        "attention.query_key_value": "heads of q, k, v",
        "attention.dense": "attn.o_proj",
        "mlp.dense_h_to_4h": "mlp.up_proj",
        "mlp.dense_4h_to_h": "mlp.down_proj",
    },
    "falcon-mqa": {
        "input_layernorm": "input_layernorm",
        "self_attention.query_key_value": "queries, one key, one value",
        "self_attention.dense": "attn.o_proj",
        "mlp.dense_h_to_4h": "mlp.up_proj",
        "mlp.dense_4h_to_h": "mlp.down_proj",
    },
}


def place(weights, target, kind, tensor, family, config):
    """Files one tensor, taken apart where it holds several maps."""
    if tensor.dim() == 2 and family != "gpt2":
        tensor = tensor.T
    if target == "columns of q, k, v":
        parts = tensor.chunk(3, dim=-1)
    elif target == "heads of q, k, v":
        heads = config.get("n_head", config.get("num_attention_heads"))
        split = tensor.reshape(*tensor.shape[:-1], heads, 3, -1)
        parts = [split[..., part, :].flatten(-2) for part in range(3)]
    elif target == "queries, one key, one value":
        size = config["hidden_size"] // config["num_attention_heads"]
        parts = tensor.split([config["hidden_size"], size, size], dim=-1)
    else:
        if target.endswith("norm") and family in ("gemma2", "nemotron") and kind == "weight":
            tensor = 1 + tensor  # these families store what is added to 1
        if tensor.dim() == 1 and "norm" in target:
            weights[f"{target}.{kind}"] = tensor
        else:
            weights[map_name(target, kind)] = tensor
        return
    for part, values in zip("qkv", parts):
        weights[map_name(f"attn.{part}_proj", kind)] = values


map_name = lambda target, kind: f"{target}.{'MatMul.weight' if kind == 'weight' else 'Add.bias'}"


# ---- The block ----


def block(family, config, w, x):
    eps = next(config[key] for key in ("rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps", "norm_eps") if key in config)

    def norm(name, values):
        weight, bias = w.get(f"{name}.weight"), w.get(f"{name}.bias")
        if weight is None:
            return values
        if bias is None:
            return values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + eps) * weight
        return torch.nn.functional.layer_norm(values, values.shape[-1:], weight, bias, eps)

    def linear(name, values):
        bias = w.get(f"{name}.Add.bias")
        product = values @ w[f"{name}.MatMul.weight"]
        return product if bias is None else product + bias

    normed = norm("input_layernorm", x)
    attended = norm("attn.output_layernorm", linear("attn.o_proj", attention(family, config, norm, linear, normed)))
    if family in ("falcon-mqa", "gpt_neox"):  # both halves read the block's input
        return x + attended + mlp(family, w, linear, norm("post_attention_layernorm", x))
    residual = x + attended
    output = mlp(family, w, linear, norm("post_attention_layernorm", residual))
    return residual + norm("mlp.output_layernorm", output)


def mlp(family, w, linear, x):
    gelu = lambda values: torch.nn.functional.gelu(values)
    tanh_gelu = lambda v: 0.5 * v * (1 + torch.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
    square = lambda values: torch.relu(values) ** 2
    activation = {"gpt2": tanh_gelu, "bloom": tanh_gelu, "gemma2": tanh_gelu, "falcon-mqa": gelu, "gpt_neox": gelu, "nemotron": square}
    activate = activation.get(family, torch.nn.functional.silu)
    up = linear("mlp.up_proj", x)
    inside = activate(linear("mlp.gate_proj", x)) * up if "mlp.gate_proj.MatMul.weight" in w else activate(up)
    return linear("mlp.down_proj", inside)


def attention(family, config, norm, linear, x):
    heads = config.get("num_attention_heads", config.get("n_head"))
    query = norm("attn.q_norm.norm", linear("attn.q_proj", x))
    key = norm("attn.k_norm.norm", linear("attn.k_proj", x))
    size = query.shape[-1] // heads
    split = lambda values: values.reshape(1, LENGTH, -1, size).transpose(1, 2)
    query, key, value = split(query), split(key), split(linear("attn.v_proj", x))
    if family not in ("gpt2", "bloom"):
        query, key = rotate(config, query), rotate(config, key)
    key, value = (side.repeat_interleave(heads // side.shape[1], dim=1) for side in (key, value))
    scale = config.get("query_pre_attn_scalar", size) ** -0.5
    scores = query @ key.transpose(-1, -2) * scale
    if family == "gemma2":
        cap = config["attn_logit_softcapping"]
        scores = cap * torch.tanh(scores / cap)
    distance = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)[None, :]
    if family == "bloom":  # ALiBi, with a power of two of heads
        slopes = torch.tensor([2 ** (-8 * (head + 1) / heads) for head in range(heads)])
        scores = scores - slopes[:, None, None] * distance
    hidden = distance < 0
    if family == "gemma2":
        hidden = hidden | (distance >= config["sliding_window"])
    weights = torch.softmax(scores.masked_fill(hidden, -math.inf), dim=-1)
    return (weights @ value).transpose(1, 2).reshape(1, LENGTH, -1)


def rotate(config, x):
    """Half-split rotation of the first numbers of each head."""
    rope = config["rope_parameters"]
    size = int(x.shape[-1] * rope.get("partial_rotary_factor", 1))
    frequencies = rope["rope_theta"] ** (-torch.arange(0, size, 2) / size)
    if rope["rope_type"] == "llama3":
        frequencies = torch.stack([llama3(rope, frequency) for frequency in frequencies])
    angles = torch.arange(LENGTH)[:, None] * frequencies
    a, b, rest = x[..., : size // 2], x[..., size // 2 : size], x[..., size:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin(), rest], -1)


def llama3(rope, frequency):
    """Slow pairs are slowed down by the factor, fast ones stay, with a ramp between."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
    share = ((turns - low) / (high - low)).clamp(0, 1)
    return frequency * (share + (1 - share) / rope["factor"])


# ---- The gradients ----


def gradients(family):
    config = json.loads((FAMILIES / family / "config.json").read_text())
    weights = {name: tensor.clone().requires_grad_() for name, tensor in read_block(family, config).items()}
    hidden = numbers([1, LENGTH, config.get("hidden_size", config.get("n_embd"))], 1, -2, 2).requires_grad_()
    block(family, config, weights, hidden).backward(numbers(list(hidden.shape), 2))
    found = {"hidden_in": hidden.grad[0]} | {name: tensor.grad for name, tensor in weights.items()}
    # Of a matrix, its product with numbers at random: as good a witness, and much shorter.
    short = {name: g if g.dim() == 1 or name == "hidden_in" else g @ numbers([g.shape[1]], 3) for name, g in found.items()}
    return {name: [float(f"{value:.10g}") for value in g.flatten().tolist()] for name, g in short.items()}


reference = {family: gradients(family) for family in MODULES}
OUTPUT.write_text(json.dumps({"torch": torch.__version__, "gradients": reference}, separators=(",", ":")) + "\n")
