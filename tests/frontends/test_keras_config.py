"""Architectures as JSON: what is refused, and what is brought up to date."""

from __future__ import annotations

import pytest

from onnxprune.errors import InputError
from onnxprune.frontends.keras_config import check_config, modernised


def sequential(*layers: dict) -> dict:
    return {"class_name": "Sequential", "config": {"name": "net", "layers": list(layers)}}


def layer(kind: str, **config) -> dict:
    return {"class_name": kind, "config": {"name": kind.lower(), **config}}


REFUSED = {
    "a lambda": (layer("Lambda", function=["4wEAAAAA", None, None]), "Lambda layer"),
    "a lambda without a name": ({"class_name": "__lambda__", "config": {"value": "..."}}, "lambda"),
    "a pickled module": (layer("TorchModuleWrapper"), "pickled torch module"),
    "another file": (layer("TFSMLayer", filepath="/somewhere"), "loads another file"),
    "raw operations": (layer("TFOpLambda", function="nn.relu"), "only tf.keras 2"),
    "another package": ({"module": "os", "class_name": "system", "config": {}}, "author's own: system"),
    "a class of the author": (
        {"module": None, "registered_name": "mine>Gate", "class_name": "Gate", "config": {"name": "g"}},
        "author's own: Gate",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("depth", [0, 3])
def test_what_would_run_code_is_refused_at_any_depth(name: str, depth: int):
    config, message = REFUSED[name]
    for _ in range(depth):
        config = sequential(layer("Dense", units=3), layer("TimeDistributed", layer=config))
    with pytest.raises(InputError, match=message) as caught:
        check_config(config, "'model.keras'")
    assert caught.value.hint


def test_plain_layers_pass():
    initializer = {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {},
        "registered_name": None,
    }
    dense = {
        "module": "keras.layers",
        "registered_name": None,
        **layer("Dense", kernel_initializer=initializer),
    }
    check_config(sequential(dense), "'model.keras'")


def test_an_architecture_of_keras_3_stays_as_it_is():
    first = layer("InputLayer", batch_shape=[None, 8])
    config = sequential(first, layer("Dense", units=3), layer("Conv2D", groups=2, axis=-1))
    assert modernised(config) == config


def test_a_sequential_gets_an_input_layer():
    old = sequential(layer("Conv2D", batch_input_shape=[None, 40, 500, 1], filters=11), layer("Flatten"))
    first, second, third = modernised(old)["config"]["layers"]
    assert first["class_name"] == "InputLayer"
    assert first["config"] == {
        "batch_input_shape": [None, 40, 500, 1],
        "dtype": "float32",
        "name": "conv2d_input",
    }
    assert second == layer("Conv2D", filters=11)
    assert third == layer("Flatten")


def test_indices_of_an_embedding_are_integers():
    old = sequential(layer("Embedding", batch_input_shape=[None, 7], input_dim=20))
    assert modernised(old)["config"]["layers"][0]["config"]["dtype"] == "int32"


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("DepthwiseConv2D", {"groups"}),
        ("Conv2DTranspose", {"groups"}),
        ("SeparableConv1D", {"groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"}),
        ("Conv2D", set()),
    ],
)
def test_settings_without_meaning_go(kind: str, lost: set[str]):
    given = {"groups": 1, "kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}
    inner = modernised(layer(kind, **given))["config"]
    assert set(given) - set(inner) == lost


def test_the_axis_of_a_batch_normalisation_is_a_number():
    assert modernised(layer("BatchNormalization", axis=[3]))["config"]["axis"] == 3


def test_initializers_lose_their_element_type():
    old = layer("Dense", kernel_initializer={"class_name": "Zeros", "config": {"dtype": "float32"}})
    assert modernised(old)["config"]["kernel_initializer"]["config"] == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tf_keras.layers", "keras.layers"),
        ("tensorflow.keras.layers", "keras.layers"),
        ("tensorflow.python.ops.init_ops_v2", "keras.initializers"),
        ("tf_keras.src.engine.functional", "keras.src.models.functional"),
        ("tf_keras_like.layers", "tf_keras_like.layers"),
        ("os", "os"),
    ],
)
def test_old_homes_of_classes(old: str, new: str):
    assert modernised({"module": old, **layer("Dense")})["module"] == new


def test_slashes_leave_layer_names_wherever_they_are_used():
    old = {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [
                layer("Dense")
                | {"config": {"name": "a/b"}, "name": "a/b", "inbound_nodes": [[["in", 0, 0, {}]]]}
            ],
            "output_layers": [["a/b", 0, 0]],
        },
    }
    new = modernised(old)["config"]
    assert new["layers"][0]["config"]["name"] == new["layers"][0]["name"] == "a_b"
    assert new["output_layers"] == [["a_b", 0, 0]]
