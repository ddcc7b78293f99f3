"""The architecture part of a Keras file: what in it would run code, and what Keras 3 has renamed.

A configuration is JSON: nested dictionaries with ``class_name`` and ``config``. It is looked through
before Keras sees the file, whose own ``safe_mode`` stays on as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from onnxprune.errors import InputError

Config = Mapping[str, Any]

_GIVE_OBJECT = (
    "If you trust the file, load it yourself, as its author does, and give the model in its stead: "
    "onnxprune.prune(model, ratio=...); or export it there with model.export('folder') and give the folder."
)
RUNS_CODE = {
    "Lambda": "holds Python code in a Lambda layer",
    "__lambda__": "holds Python code as a lambda",
    "TorchModuleWrapper": "holds a pickled torch module",
    "TFSMLayer": "loads another file while it is opened",
    "TorchModule": "holds a pickled torch module",
}
"""Classes that are refused, and why."""

PARTS = frozenset(
    """layers models initializers regularizers constraints activations optimizers losses metrics ops
    operations dtype_policies dtype_policy random quantizers backend engine mixed_precision""".split()
)
"""Packages of Keras whose classes and functions make up networks. Those of others (``keras.utils.get_file``,
``keras.config.enable_unsafe_deserialization``, ``keras.saving.load_model``) reach beyond the file."""

RAW_OPERATIONS = frozenset({"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"})
"""What tf.keras 2 wrote for plain TensorFlow functions between layers; Keras 3 cannot read it."""

_OLD_HOMES = (
    (re.compile(r"^(?:tf_keras|tensorflow(?:\.python)?\.keras)(?=\.|$)"), "keras"),
    (re.compile(r"^keras\.src\.engine\.functional$"), "keras.src.models.functional"),
    (re.compile(r"^tensorflow\.python\.ops\.init_ops\w*$"), "keras.initializers"),
)
"""Where the classes of Keras lived before."""

_OF_KERNEL = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
_INHERITED: dict[str, tuple[str, ...]] = {
    "DepthwiseConv": ("groups",),
    "SeparableConv": _OF_KERNEL,
    "Conv": ("groups",),
}
LEFT_OUT = {
    f"{kind}{axes}D{'Transpose' * (kind == 'Conv')}": keys
    for kind, keys in _INHERITED.items()
    for axes in (1, 2, 3)
}
"""Settings that layers of tf.keras 2 inherited without a meaning, and that Keras 3 does not accept."""


def check_config(config: object, where: str) -> None:
    """Refuse an architecture that would run code of the file, or that needs code it does not hold.

    Raises:
        InputError: naming the layer.
    """
    for entry in _entries(config):
        kind = str(entry["class_name"])
        name = _layer_name(entry)
        layer = f" ({name!r})" if name else ""
        if kind in RUNS_CODE:
            raise InputError(f"{where} {RUNS_CODE[kind]}{layer}, which is not run here.", hint=_GIVE_OBJECT)
        if kind in RAW_OPERATIONS:
            raise InputError(
                f"{where} has plain TensorFlow functions between layers{layer}; only tf.keras 2 reads them.",
                hint="Load it with the package tf_keras, export it with model.export('folder'), and give the "
                "folder.",
            )
        inner = entry.get("config")
        if isinstance(inner, Mapping) and isinstance(inner.get("vocabulary"), str):
            raise InputError(f"{where} reads its words from another file{layer}.", hint=_GIVE_OBJECT)
        if not _is_of_keras(entry):
            raise InputError(f"{where} uses a class of its author's own: {kind}{layer}.", hint=_GIVE_OBJECT)


def modernised(config: Any) -> Any:
    """An architecture of tf.keras 2 as Keras 3 reads it; equal to the given one where nothing is to do.

    1. A Sequential whose first layer states the input's shape gets an input layer of its own.
    2. Settings go that cannot mean anything where they stand, and so does the ``dtype`` of an initializer;
       the axis of a batch normalisation is a number.
    3. Classes are looked for in Keras 3.
    4. Layer names lose their slashes.
    """
    slashed = {name for entry in _entries(config) if "/" in (name := _layer_name(entry))}
    return _modernised(config, {name: name.replace("/", "_") for name in slashed})


def _modernised(config: Any, names: Mapping[str, str]) -> Any:
    if isinstance(config, list):
        return [_modernised(item, names) for item in config]
    if isinstance(config, str):
        return names.get(config, config)
    if not isinstance(config, Mapping):
        return config
    done = {key: _modernised(value, names) for key, value in config.items()}
    for key, value in done.items():
        if key.endswith("_initializer") and isinstance(value, dict) and isinstance(value.get("config"), dict):
            value["config"].pop("dtype", None)
    for old, new in _OLD_HOMES:
        if isinstance(done.get("module"), str):
            done["module"] = old.sub(new, done["module"])
    inner = done.get("config")
    if isinstance(inner, dict):
        _modernise_layer(str(done.get("class_name")), inner)
    return done


def _modernise_layer(kind: str, inner: dict[str, Any]) -> None:
    if kind == "Sequential" and inner.get("layers"):
        inner["layers"] = _with_input_layer(inner["layers"])
    axis = inner.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        inner["axis"] = axis[0]
    if inner.get("groups", 1) == 1:
        for key in LEFT_OUT.get(kind, ()):
            inner.pop(key, None)


def _with_input_layer(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers of a Sequential with the shape of its input stated by an input layer and nowhere else."""
    first = layers[0]
    own = first.get("config") or {}
    shape = own.get("batch_input_shape")
    if first.get("class_name") == "InputLayer" or shape is None:
        return [layers[0], *map(_without_shape, layers[1:])]
    dtype = "int32" if first.get("class_name") == "Embedding" else "float32"
    declared = {"batch_input_shape": shape, "dtype": dtype, "name": f"{own.get('name', 'first')}_input"}
    return [{"class_name": "InputLayer", "config": declared}, *map(_without_shape, layers)]


def _without_shape(layer: dict[str, Any]) -> dict[str, Any]:
    own = layer.get("config")
    if not isinstance(own, dict) or "batch_input_shape" not in own:
        return layer
    return {**layer, "config": {key: value for key, value in own.items() if key != "batch_input_shape"}}


def _entries(config: object) -> Iterator[Config]:
    """Every part that names a class, at whatever depth."""
    if isinstance(config, Mapping):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _layer_name(entry: Config) -> str:
    inner = entry.get("config")
    return str(inner.get("name") or "") if isinstance(inner, Mapping) else ""


def _is_of_keras(entry: Config) -> bool:
    """Whether an entry names a part of a network that Keras itself defines, and no other function of it."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if isinstance(module, str) and module not in ("builtins", "keras"):
        package = module.removeprefix("keras.").removeprefix("src.").partition(".")[0]
        if module.partition(".")[0] != "keras" or package not in PARTS:
            return False
    if module == "keras" and not entry["class_name"][:1].isupper():
        return False
    return registered in (None, "function", "builtins", entry["class_name"])
