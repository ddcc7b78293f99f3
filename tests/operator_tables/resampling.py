"""Operators that repeat or resample: Expand, Tile, Resize, blocks of pixels."""

from __future__ import annotations

import numpy as np
from operator_case import case

F = np.float32
LAST = 2**63 - 1

CASES = [
    # Expand, Tile, Resize
    case(
        "expand-pooled",
        "g = GlobalAveragePool(x) e = Expand(g, s) y = Concat<axis=1>(x, e)",
        opset=(8, 13),
        s=[2, 12, 6, 6],
    ),
    case("expand-ones", "g = GlobalAveragePool(x) y = Expand(g, s)", s=[1, 1, 4, 4]),
    case("expand-short-shape", "g = GlobalAveragePool(x) y = Expand(g, s)", s=[4, 4]),
    case(
        "expand-one-channel",
        "g = Conv(x, w) e = Expand(g, s) y = Add(x, e)",
        w=(1, 12, 1, 1),
        s=[2, 12, 6, 6],
    ),
    case("expand-by-shape", "g = GlobalAveragePool(z) s = Shape(x) e = Expand(g, s) y = Mul(x, e)"),
    case("tile-space", "y = Tile(x, r)", opset=(7, 13), r=[1, 1, 2, 2]),
    case("tile-channels", "y = Tile(x, r)", r=[1, 2, 1, 1]),
    case("upsample-scales-attribute", 'y = Upsample<mode="nearest", scales=[1.0,1.0,2.0,2.0]>(x)', opset=7),
    case("upsample-scales-input", 'y = Upsample<mode="nearest">(x, s)', opset=9, s=np.array([1, 1, 2, 2], F)),
    case("resize-scales", 'y = Resize<mode="nearest">(x, s)', opset=10, s=np.array([1, 1, 2, 2], F)),
    case(
        "resize-roi-scales",
        'y = Resize<mode="nearest">(x, roi, s)',
        opset=11,
        roi=np.zeros(0, F),
        s=np.array([1, 1, 2, 2], F),
    ),
    case(
        "resize-scales-only",
        'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, "", s)',
        opset=(13, 18, 19),
        s=np.array([1, 1, 2, 2], F),
    ),
    case("resize-sizes", 'y = Resize<mode="nearest">(x, "", "", s)', opset=(13, 18), s=[2, 12, 9, 9]),
    case("resize-sizes-axes", 'y = Resize<mode="nearest", axes=[2,3]>(x, "", "", s)', opset=18, s=[9, 9]),
    case(
        "resize-sizes-by-shape",
        'a = Shape(z) b = Slice(a, o, t) s = Concat<axis=0>(b, h) y = Resize<mode="nearest">(x, "", "", s)',
        o=[0],
        t=[2],
        h=[12, 12],
    ),
    case(
        "resize-channels",
        'y = Resize<mode="nearest">(x, "", s)',
        s=np.array([1, 2, 1, 1], F),
        pinned="Resize",
    ),
    case("grid-sample", "y = GridSample(x, g)", opset=16, g=np.zeros((2, 4, 4, 2), F)),
    case(
        "max-unpool",
        "a, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) y = MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(a, i)",
        pinned="*",
    ),
    case(
        "max-pool-indices",
        "a, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) y = Cast<to=1>(i)",
        pinned="*",
    ),
    case(
        "roi-align",
        "y = RoiAlign<output_height=2, output_width=2>(x, r, i)",
        opset=16,
        r=np.array([[0, 0, 3, 3]], F),
        i=[1],
        pinned="*",
    ),
    # blocks of pixels
    case("depth-to-space-dcr", "y = DepthToSpace<blocksize=2>(x)", opset=(7, 11, 13), kept=4),
    case("depth-to-space-crd", 'y = DepthToSpace<blocksize=2, mode="CRD">(x)', opset=(11, 13), kept=4),
    case("space-to-depth", "y = SpaceToDepth<blocksize=2>(x)", opset=(7, 13)),
    case(
        "pixel-shuffle-by-reshape",
        "a = Reshape(x, s) b = Transpose<perm=[0,1,4,2,5,3]>(a) y = Reshape(b, t)",
        s=[2, 3, 2, 2, 6, 6],
        t=[2, 3, 12, 12],
        kept=4,
    ),
    case(
        "pixel-unshuffle-by-reshape",
        "a = Reshape(x, s) b = Transpose<perm=[0,1,3,5,2,4]>(a) y = Reshape(b, t)",
        s=[2, 12, 3, 2, 3, 2],
        t=[2, 48, 3, 3],
    ),
    case(
        "focus-slices",
        "a = Slice(x, o, e, i, s) b = Slice(x, p, e, i, s) y = Concat<axis=1>(a, b)",
        o=[0, 0],
        p=[1, 1],
        e=[LAST, LAST],
        i=[2, 3],
        s=[2, 2],
    ),
]
