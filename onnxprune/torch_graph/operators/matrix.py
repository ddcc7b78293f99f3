"""Matrix products."""

from __future__ import annotations

import operator as python
from typing import Any

import torch
from onnx import NodeProto
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.arithmetic import numbers_where_possible
from onnxprune.torch_graph.registry import emitter, operator, plain

plain(torch.matmul, "MatMul", 1, 9, 13)


@emitter("Gemm", 7, 9, 11, 13)
def gemm(call: Call) -> Any:
    """``alpha A B + beta C``; a linear layer where the factors are one and C is a vector."""
    a, b, c = call.tensor(0), call.tensor(1), call.tensor(2)
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    if call.attribute("transA", 0):
        a = call.emit(torch.t, a)
    bias = call.shape(2) if call.has(2) else ()
    columns = call.shape(1)
    width = None if columns is None else columns[0 if call.attribute("transB", 0) else 1]
    if alpha == 1.0 and (c is None or (beta == 1.0 and bias == (width,))):
        weight = b if call.attribute("transB", 0) else call.emit(torch.t, b)
        return call.emit(functional.linear, a, weight, c)
    b = call.emit(torch.t, b) if call.attribute("transB", 0) else b
    return call.emit(general, a, b, c, alpha=alpha, beta=beta)


@emitter("Add", 7, 13, 14)
def add(call: Call) -> Any:
    """A sum; with the product of a matrix before it, a linear layer, which is one function of torch."""
    for product, bias in ((0, 1), (1, 0)):
        linear = _linear(call, call.builder.producer(call.node.input[product]), product, bias)
        if linear is not None:
            return linear
    return call.emit(python.add, *numbers_where_possible(call))


def _linear(call: Call, maker: NodeProto | None, product: int, bias: int) -> Any:
    """``x W + b`` where nothing else reads the product, W is a constant matrix and b a constant vector."""
    if maker is None or maker.op_type != "MatMul" or not call.builder.is_read_once(call.node.input[product]):
        return None
    vector, matrix = call.known(bias), call.builder.known(maker.input[1])
    if vector is None or matrix is None or matrix.ndim != 2 or vector.shape != matrix.shape[1:]:
        return None
    weight = call.emit(torch.t, call.builder.tensor(maker.input[1]))
    return call.emit(functional.linear, call.builder.tensor(maker.input[0]), weight, call.tensor(bias))


def general(a: Tensor, b: Tensor, c: Tensor | None, *, alpha: float, beta: float) -> Tensor:
    """``alpha a b + beta c``."""
    product = a @ b if alpha == 1.0 else alpha * (a @ b)
    if c is None:
        return product
    return product + (c if beta == 1.0 else beta * c)


@operator("Einsum", 12)
def einsum(*operands: Tensor, equation: str) -> Tensor:
    """Einstein summation."""
    return torch.einsum(equation.replace(" ", ""), *operands)


@operator("Det", 11, 22)
def det(x: Tensor) -> Tensor:
    """Determinants of the last two axes."""
    return torch.det(x)
