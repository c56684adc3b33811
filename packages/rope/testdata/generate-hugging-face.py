"""Writes hugging-face.json: rope frequencies as Hugging Face transformers computes them.

    pip download transformers==5.18.0 --no-deps
    python3 generate-hugging-face.py transformers-5.18.0-py3-none-any.whl

Runs transformers' own modeling_rope_utils.py out of the wheel, its reading of old config fields included, with numpy in
place of torch. Every "float" is float64, so that the formulas can be compared closely; a second run in float32, which
is what transformers does, gives the size of the difference, recorded in each case as `float32Difference`.
"""

import ast
import copy
import json
import sys
import types
import zipfile
from pathlib import Path

import numpy as np

VERSION = "5.18.0"


class Tensor(np.ndarray):
    def to(self, device=None, dtype=None):
        return self if dtype is None else self.astype(dtype).view(Tensor)

    def float(self):
        return self.to(dtype=torch.float)


def tensor(values, dtype=None):
    return np.asarray(values, dtype=dtype).view(Tensor)


def make_torch(floating):
    stand_in = types.SimpleNamespace(float=floating, float32=floating, int64=np.int64, Tensor=Tensor)
    stand_in.arange = lambda *bounds, dtype=np.int64, device=None: tensor(np.arange(*bounds), dtype)
    stand_in.tensor = lambda values, dtype=None, device=None: tensor(values, dtype)
    stand_in.zeros = lambda length, dtype=None, device=None: tensor(np.zeros(length), dtype)
    stand_in.cat = lambda parts, dim=0: tensor(np.concatenate(parts, axis=dim))
    stand_in.where = lambda condition, a, b: tensor(np.where(condition, a, b))
    stand_in.clamp = lambda values, low, high: tensor(np.clip(values, low, high))
    return stand_in


def read(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"transformers/{name}").decode()


def load_rope_utils(wheel):
    silent = types.SimpleNamespace(warning=lambda *_: None, warning_once=lambda *_: None)
    utils = types.ModuleType("stand_in.utils")
    utils.is_torch_available = lambda: False
    utils.logging = types.SimpleNamespace(get_logger=lambda _: silent)
    sys.modules["stand_in"] = types.ModuleType("stand_in")
    sys.modules["stand_in.utils"] = utils
    module = types.ModuleType("stand_in.modeling_rope_utils")
    module.__package__ = "stand_in"
    exec(compile(read(wheel, "modeling_rope_utils.py"), "modeling_rope_utils.py", "exec"), module.__dict__)
    return module


def load_default_function(wheel):
    """The unscaled type is not in modeling_rope_utils.py: each model has it; Phi's handles partial rotary."""
    tree = ast.parse(read(wheel, "models/phi/modeling_phi.py"))
    name = "compute_default_rope_parameters"
    function = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    function.decorator_list, function.returns = [], None
    for argument in function.args.args:
        argument.annotation = None
    namespace = {}
    exec(compile(ast.Module(body=[function], type_ignores=[]), "modeling_phi.py", "exec"), namespace, namespace)
    return namespace[name]


def compute(rope_utils, default_function, raw, sequence_length, layer_type, floating):
    global torch
    torch = make_torch(floating)
    rope_utils.torch = torch
    default_function.__globals__["torch"] = torch

    class Config(rope_utils.RotaryEmbeddingConfigMixin):
        rope_parameters = None
        is_heterogeneous = False

        @property
        def per_layer_config(self):
            raise ValueError("one config for all layers")

    config = Config()
    raw = copy.deepcopy(raw)
    for key, value in raw.items():
        if key != "rope_scaling":
            setattr(config, key, value)
    config.convert_rope_params_to_dict(**({"rope_scaling": raw["rope_scaling"]} if "rope_scaling" in raw else {}))
    chosen = config.rope_parameters if layer_type is None else config.rope_parameters[layer_type]
    if chosen["rope_type"] == "default":
        config.rope_parameters = chosen
        frequencies, scaling = default_function(config)
        return np.asarray(frequencies), float(scaling)
    function = rope_utils.ROPE_INIT_FUNCTIONS[chosen["rope_type"]]
    layer = {} if layer_type is None else {"layer_type": layer_type}
    frequencies, scaling = function(config, seq_len=sequence_length, **layer)
    return np.asarray(frequencies), float(scaling)


def main(wheel):
    here = Path(__file__).parent
    rope_utils, default_function = load_rope_utils(wheel), load_default_function(wheel)
    cases = []
    for case in json.loads((here / "configs.json").read_text()):
        for sequence_length in case["sequenceLengths"]:
            inputs = (rope_utils, default_function, case["config"], sequence_length, case.get("layerType"))
            frequencies, scaling = compute(*inputs, np.float64)
            rounded, _ = compute(*inputs, np.float32)
            difference = np.max(np.abs(rounded - frequencies) / np.maximum(np.abs(frequencies), 1e-300))
            cases.append(
                {
                    "name": case["name"],
                    "sequenceLength": sequence_length,
                    "inverseFrequencies": frequencies.tolist(),
                    "attentionScaling": scaling,
                    "float32Difference": float(f"{difference:.2g}"),
                }
            )
    lines = ",\n".join(json.dumps(case) for case in cases)
    (here / "hugging-face.json").write_text(f"[\n{lines}\n]\n")


main(sys.argv[1])
