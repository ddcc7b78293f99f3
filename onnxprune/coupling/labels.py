"""Labels: one name for each set of indices that live and die together.

An axis is an integer array of label ids, one an index. A label is

* ``0``: pinned, never removed;
* a *leaf*: free to be removed;
* an *alias*: stands for another label (union-find);
* a *product*: gone as soon as one of its members is gone (head x head dimension, group x filter).

Two axes that must lose the same indices are *equated*. Where no exact answer exists the equation is
met by tying or pinning more than necessary: coarser is sound, finer never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from onnxprune.model.trace import MAX_DIM

Axis = npt.NDArray[np.int64]
"""Label ids of the indices of one axis, shape (length,)."""

PINNED = 0
MAX_AXIS = 4_000_000
"""Longer flattened axes are not followed; tracking them would cost more than it could win."""


class Labels:
    """All labels of one model; the single mutable object of coupling."""

    def __init__(self) -> None:
        self._parent = np.arange(1024, dtype=np.int64)
        self._is_product = np.zeros(1024, dtype=bool)
        self._reason = np.zeros(1024, dtype=np.int64)
        self._count = 1
        self._members: dict[int, tuple[int, ...]] = {}
        self._row = np.zeros(1024, dtype=np.int64)
        self._table = np.zeros((256, 4), dtype=np.int64)
        self._product_of: dict[tuple[int, ...], int] = {}
        self._reasons: dict[str, int] = {"": 0}
        self._pinned_labels: dict[str, int] = {}
        self._pinned_axes: dict[tuple[int, str], Axis] = {}
        self._block = np.zeros(1024, dtype=np.int64)

    def __len__(self) -> int:
        return self._count

    # births

    def fresh(self, length: int) -> Axis:
        """New leaves, one an index; an axis of length one is born pinned, it could only vanish."""
        if length == 1:
            return self.pinned(1, "it has a single channel")
        axis = self._allocate(length)
        self._block[axis] = axis[0] if length else 0
        return axis

    def pinned(self, length: int, reason: str) -> Axis:
        """An axis that never loses an index, and why; it takes no memory of its length.

        Raises:
            ValueError: it is longer than any that is followed.
        """
        if length > MAX_DIM:
            raise ValueError(f"an axis of {length:,} indices is too long to follow")
        known = self._pinned_axes.get((length, reason))
        if known is not None:
            return known
        label = self._pinned_labels.get(reason)
        if label is None:
            label = int(self._allocate(1)[0])
            self._parent[label] = PINNED
            self._reason[label] = self._code(reason)
            self._pinned_labels[reason] = label
        axis = self._pinned_axes[length, reason] = np.broadcast_to(np.int64(label), length)
        return axis

    def product(self, axes: Sequence[Axis]) -> Axis:
        """Row-major flattening: index ``(i, j)`` survives when ``i`` and ``j`` both do."""
        if prod(len(axis) for axis in axes) > MAX_AXIS:
            for axis in axes:
                self.pin(axis, "it is flattened into an axis too long to follow")
            return self.pinned(prod(len(axis) for axis in axes), "it is too long to follow")
        flat = axes[0]
        for axis in axes[1:]:
            flat = self._pairs(flat, axis)
        return flat

    def split(self, axis: Axis, lengths: Sequence[int]) -> list[Axis]:
        """Axes of the given lengths whose row-major product is ``axis``.

        1. A factor of length one is pinned; with one factor left, that is the axis itself.
        2. Labels that vary along one factor only need no new label.
        3. Labels that already are such a product are taken apart.
        4. Otherwise the factors are born here and the axis is equated with their product.
        """
        wide = [k for k, length in enumerate(lengths) if length > 1]
        parts = [self.pinned(1, "it has a single channel") for _ in lengths]
        if len(wide) <= 1:
            for k in wide:
                parts[k] = axis
            return parts
        raw = axis.reshape([lengths[k] for k in wide])
        found = self._varies_along_one(raw) or self._taken_apart(raw)
        if found is None:
            found = [self.fresh(lengths[k]) for k in wide]
            self.equate(self.product(found), axis)
        for k, part in zip(wide, found, strict=True):
            parts[k] = part
        return parts

    # relations

    def equate(self, left: Axis, right: Axis) -> None:
        """Make both axes lose the same indices. Shapes: both (length,)."""
        if left is right or np.array_equal(left, right):
            return
        while True:
            x, y = self.find(left), self.find(right)
            differ = x != y
            if not differ.any():
                return
            left, right, x, y = left[differ], right[differ], x[differ], y[differ]
            self._carry_reasons(left, right, x, y)
            leaves = ~(self._is_product[x] | self._is_product[y])
            low, high = np.minimum(x, y)[leaves], np.maximum(x, y)[leaves]
            np.minimum.at(self._parent, high, low)
            if not leaves.all() and not self._define(x[~leaves], y[~leaves]):
                for p, q in dict.fromkeys(zip(x[~leaves].tolist(), y[~leaves].tolist(), strict=True)):
                    self._equate_sets(p, q)

    def pin(self, axis: Axis, reason: str) -> None:
        """Never remove any index of the axis."""
        roots = self.find(axis)
        if not roots.any():
            return
        roots = np.unique(roots)
        leaves = self.leaves_of(roots)
        leaves = leaves[leaves != PINNED]
        self._reason[leaves] = self._code(reason)
        self._parent[leaves] = PINNED

    # queries

    def find(self, axis: Axis) -> Axis:
        """The axis in canonical labels: equal ids mean equal fate."""
        out: Axis = self._parent[axis]
        while True:
            following = self._parent[out]
            if np.array_equal(following, out):
                break
            out = following
        if not self._members:
            return out
        products = np.flatnonzero(self._is_product[out])
        if len(products):
            members = self._table[self._row[out[products]]]
            stale = products[(self._parent[members] != members).any(axis=1)]
            if len(stale):
                ids, inverse = np.unique(out[stale], return_inverse=True)
                out[stale] = self._resolve_all(ids)[inverse]
        return out

    def member_table(self, labels: Axis) -> Axis:
        """Leaves of canonical labels, shape (labels, most members), padded with the pinned label."""
        rows = self._table[self._row[labels]].copy()
        plain = ~self._is_product[labels]
        rows[plain] = PINNED
        rows[plain, 0] = labels[plain]
        return rows

    def members(self, label: int) -> tuple[int, ...]:
        """Leaves that a canonical label depends on, outermost first; none for a pinned one."""
        if label == PINNED:
            return ()
        return self._members.get(label, (label,))

    def leaves_of(self, roots: Axis) -> Axis:
        """Distinct leaves that canonical labels depend on, ascending."""
        products = self._is_product[roots]
        found: set[int] = set(roots[~products].tolist())
        for label in roots[products].tolist():
            found.update(self.members(label))
        return np.array(sorted(found), dtype=np.int64)

    def blocks(self) -> Axis:
        """For every label the first of the leaves it was born with, shape (number of labels,)."""
        return self._block[: self._count]

    def canonical(self) -> Axis:
        """``find`` of every label, shape (number of labels,).

        Resolving a product may intern new ones, so this repeats until nothing is added.
        """
        while True:
            count = self._count
            found = self.find(np.arange(count, dtype=np.int64))
            if self._count == count:
                return found

    def is_free(self, axis: Axis) -> bool:
        """Whether some index of the axis may still be removed."""
        return bool(self.find(axis).any())

    def reasons(self, axis: Axis) -> list[str]:
        """Why indices of the axis are pinned, most frequent first."""
        pinned = self.find(axis) == PINNED
        codes, counts = np.unique(self._reason_codes(axis[pinned]), return_counts=True)
        names = list(self._reasons)
        return [names[code] for code in codes[np.argsort(-counts, kind="stable")].tolist() if names[code]]

    # internals

    def _allocate(self, length: int) -> Axis:
        start, self._count = self._count, self._count + length
        if self._count > len(self._parent):
            capacity = max(2 * len(self._parent), self._count)
            old = len(self._parent)
            self._parent = np.concatenate([self._parent, np.arange(old, capacity)])
            self._is_product = np.concatenate([self._is_product, np.zeros(capacity - old, bool)])
            self._reason = np.concatenate([self._reason, np.zeros(capacity - old, np.int64)])
            self._block = np.concatenate([self._block, np.zeros(capacity - old, np.int64)])
            self._row = np.concatenate([self._row, np.zeros(capacity - old, np.int64)])
        return np.arange(start, self._count)

    def _code(self, reason: str) -> int:
        return self._reasons.setdefault(reason, len(self._reasons))

    def _intern(self, leaves: Iterable[int]) -> int:
        members = tuple(sorted(set(leaves) - {PINNED}))
        if len(members) < 2:
            return members[0] if members else PINNED
        label = self._product_of.get(members)
        if label is None:
            label = int(self._allocate(1)[0])
            self._is_product[label] = True
            self._row[label] = self._tabulate(members)
            self._members[label] = members
            self._product_of[members] = label
        return label

    def _intern_pairs(self, x: Axis, y: Axis) -> Axis:
        """Products of two canonical labels each, none pinned: whole arrays at once where both are leaves."""
        if self._is_product[x].any() or self._is_product[y].any():
            parts = {label: self.members(label) for label in np.unique(np.concatenate([x, y])).tolist()}
            pairs = zip(x.tolist(), y.tolist(), strict=True)
            return np.array([self._intern(parts[p] + parts[q]) for p, q in pairs], dtype=np.int64)
        found = np.minimum(x, y)
        distinct = np.flatnonzero(x != y)
        members = list(zip(found[distinct].tolist(), np.maximum(x, y)[distinct].tolist(), strict=True))
        unknown = [m for m in dict.fromkeys(members) if m not in self._product_of]
        if unknown:
            new = self._allocate(len(unknown))
            rows = len(self._members) + np.arange(len(unknown))
            self._widen(len(self._members) + len(unknown), 2)
            self._table[rows, :2] = unknown
            self._is_product[new] = True
            self._row[new] = rows
            self._members.update(zip(new.tolist(), unknown, strict=True))
            self._product_of.update(zip(unknown, new.tolist(), strict=True))
        found[distinct] = [self._product_of[m] for m in members]
        return found

    def _widen(self, rows: int, width: int) -> None:
        have, columns = self._table.shape
        if rows > have or width > columns:
            wider = np.zeros(
                (max(2 * have, rows) if rows > have else have, max(width, columns)), dtype=np.int64
            )
            wider[:have, :columns] = self._table
            self._table = wider

    def _tabulate(self, members: tuple[int, ...]) -> int:
        """Row of the member table, padded with the pinned label, that whole axes are looked up in."""
        row = len(self._members)
        self._widen(row + 1, len(members))
        self._table[row, : len(members)] = members
        return row

    def _resolve_all(self, products: Axis) -> Axis:
        """Stale products by what they stand for; pairs of leaves, the usual case, all at once."""
        members = self._table[self._row[products]]
        roots = self._parent[members]
        while not np.array_equal(following := self._parent[roots], roots):
            roots = following
        roots.sort(axis=1)
        roots[:, 1:][roots[:, 1:] == roots[:, :-1]] = PINNED
        roots.sort(axis=1)
        lone = roots[:, -2] == PINNED
        hard = ~lone & (roots[:, :-2].any(axis=1) | self._is_product[roots].any(axis=1))
        found = roots[:, -1].copy()
        found[lone] = self.find(found[lone])
        found[hard] = [self._resolve(int(p)) for p in products[hard]]
        pairs = ~lone & ~hard
        found[pairs] = self._intern_pairs(roots[pairs, -2], roots[pairs, -1])
        vanished = products[(found == PINNED) & ~hard]
        # the innermost member says most: the outer one is often just a count of gates or groups
        self._reason[vanished] = self._reason_codes(self._table[self._row[vanished]].max(axis=1))
        self._parent[products] = found
        return found

    def _resolve(self, product: int) -> int:
        """The product over what its members stand for by now."""
        leaves: list[int] = []
        stale = False
        for member in self._members[product]:
            root = self._root(member)
            stale |= root != member
            leaves.extend(self.members(self._resolve(root)) if root in self._members else (root,))
        if not stale:
            return product
        label = self._intern(leaves)
        if label == PINNED:
            self._reason[product] = self._reason_codes(np.array(self._members[product][-1:]))[0]
        self._parent[product] = label
        return label

    def _root(self, label: int) -> int:
        while (parent := int(self._parent[label])) != label:
            label = parent
        return label

    def _define(self, x: Axis, y: Axis) -> bool:
        """Let distinct leaves stand for products that none of them is a part of; False if not so."""
        leaf, product = np.where(self._is_product[x], y, x), np.where(self._is_product[x], x, y)
        if not leaf.all() or self._is_product[leaf].any() or len(np.unique(leaf)) < len(leaf):
            return False
        if np.isin(leaf, self._table[self._row[product]]).any():
            return False
        self._parent[leaf] = product
        return True

    def _equate_sets(self, p: int, q: int) -> None:
        """Equate two canonical labels of which at least one is a product.

        Subtracting what both share keeps a leaf from being defined by itself.
        """
        left, right = set(self.members(self._settled(p))), set(self.members(self._settled(q)))
        if not left or not right:
            self._parent[list(left | right)] = PINNED
            return
        left, right = left - right, right - left
        if not left or not right:
            for leaf in left | right:
                self.pin(np.array([leaf]), "it is tied to an axis that it is a part of")
        elif len(left) == 1 or len(right) == 1:
            lone, others = (left, right) if len(left) == 1 else (right, left)
            if len(others) == 1:
                low, high = sorted(lone | others)
                self._parent[high] = low
            else:
                self._parent[lone.pop()] = self._intern(others)
        elif len(left) == len(right):
            for a, b in zip(sorted(left), sorted(right), strict=True):
                self._parent[max(a, b)] = min(a, b)
        else:
            tied = np.array(sorted(left | right))
            self._parent[tied[1:]] = tied[0]

    def _settled(self, label: int) -> int:
        return int(self.find(np.array([label]))[0])

    def _carry_reasons(self, left: Axis, right: Axis, x: Axis, y: Axis) -> None:
        """A label that is pinned by an equation takes over the reason of the other side."""
        for raw, pinned, other in ((left, x == PINNED, y), (right, y == PINNED, x)):
            if pinned.any():
                codes = self._reason_codes(raw[pinned])
                for label in np.unique(other[pinned & self._is_product[other]]).tolist():
                    self._reason[list(self.members(label))] = codes[0]
                self._reason[other[pinned]] = codes

    def _reason_codes(self, raw: Axis) -> Axis:
        """Reason codes of pinned labels: that of the last label before the pin."""
        label = raw
        while True:
            following = self._parent[label]
            onward = (following != PINNED) & (following != label)
            if not onward.any():
                return self._reason[label]
            label = np.where(onward, following, label)

    def _pairs(self, outer: Axis, inner: Axis) -> Axis:
        a, b = np.repeat(outer, len(inner)), np.tile(inner, len(outer))
        x, y = self.find(outer), self.find(inner)
        if not y.any():
            return a
        if not x.any():
            return b
        x, y = np.repeat(x, len(inner)), np.tile(y, len(outer))
        flat = np.where(y == PINNED, a, b)
        both = (x != PINNED) & (y != PINNED) & (x != y)
        flat[both] = self._intern_pairs(x[both], y[both])
        return flat

    def _varies_along_one(self, raw: Axis) -> list[Axis] | None:
        canonical = self.find(raw.reshape(-1)).reshape(raw.shape)
        for k in range(raw.ndim):
            first = canonical.take([0], axis=k)
            if (canonical == first).all():
                continue
            others = tuple(j for j in range(raw.ndim) if j != k)
            if (
                canonical == canonical[tuple(slice(None) if j == k else slice(0, 1) for j in range(raw.ndim))]
            ).all():
                return [
                    self._line(raw, j) if j not in others else self._pinned_like(raw, j)
                    for j in range(raw.ndim)
                ]
            return None
        if canonical.size and canonical.flat[0] == PINNED:
            return [self._line(raw, j) for j in range(raw.ndim)]
        return None

    def _pinned_like(self, raw: Axis, k: int) -> Axis:
        return self.pinned(raw.shape[k], "all its indices belong to the same channels")

    @staticmethod
    def _line(raw: Axis, k: int) -> Axis:
        """The labels along axis ``k`` at index 0 of every other axis."""
        return raw[tuple(slice(None) if j == k else 0 for j in range(raw.ndim))]

    def _taken_apart(self, raw: Axis) -> list[Axis] | None:
        canonical = self.find(raw.reshape(-1)).reshape(raw.shape)
        if not self._is_product[canonical].any():
            return None
        sets = np.empty(canonical.shape, dtype=object)
        sets.reshape(-1)[:] = [frozenset(self.members(label)) for label in canonical.reshape(-1).tolist()]
        factors = [
            [frozenset.intersection(*np.moveaxis(sets, k, 0)[i].reshape(-1)) for i in range(sets.shape[k])]
            for k in range(sets.ndim)
        ]
        for index in np.ndindex(sets.shape):
            if frozenset().union(*(factors[k][i] for k, i in enumerate(index))) != sets[index]:
                return None
        return [
            np.array([self._intern(part) if part else self._unlabelled() for part in factor], dtype=np.int64)
            for factor in factors
        ]

    def _unlabelled(self) -> int:
        return int(self.pinned(1, "all its indices belong to the same channels")[0])
