import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.coupling.groups import Group
from onnxprune.errors import UsageError
from onnxprune.plan import admissible_counts, fast_grid, parse_align
from onnxprune.plan.align import levels


def counts(size, grid, *steps):
    return admissible_counts(Group("g", size, (), (), steps=steps), grid).tolist()


@pytest.mark.parametrize(
    ("flags", "grid"),
    [("fpu sse avx avx2 avx512f avx512bw", 16), ("fpu avx avx2 fma", 8), ("fpu sse2", 8), ("", 8)],
)
def test_the_grid_follows_the_processors_flags(tmp_path, flags, grid):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    assert fast_grid(path) == grid


def test_without_a_list_of_flags_a_common_grid_is_used(tmp_path):
    assert fast_grid(tmp_path / "missing") == 8


def test_alignment_texts():
    assert parse_align("off") == 1
    assert parse_align("auto") == fast_grid()
    assert parse_align("8") == parse_align(8) == 8
    for wrong in ("0", "-4", "fast", "4.5", 0, ""):
        with pytest.raises(UsageError, match="--align"):
            parse_align(wrong)


@pytest.mark.parametrize(
    ("grid", "chain"),
    [(16, (16, 8, 4)), (8, (8, 4)), (4, (4,)), (32, (32, 16, 8, 4)), (12, (12, 4)), (2, (2,)), (10, (10, 4))],
)
def test_short_axes_fall_back_to_finer_grids_but_not_below_four(grid, chain):
    assert levels(grid) == chain


@pytest.mark.parametrize(
    ("size", "grid", "steps", "expected"),
    [
        (64, 16, (1,), [16, 32, 48, 64]),
        (40, 16, (1,), [16, 32, 40]),
        (24, 16, (1,), [8, 16, 24]),  # one cell of 16: fall back to 8
        (16, 16, (1,), [8, 16]),
        (12, 16, (1,), [4, 8, 12]),
        (8, 16, (1,), [4, 8]),
        (6, 16, (1,), [4, 6]),  # one cell of 4 and a rest
        (4, 16, (1,), [4]),  # any cut would leave the fast path
        (3, 16, (1,), [1, 2, 3]),  # off the fast path already
        (1, 16, (1,), [1]),
        (12, 16, (4,), [4, 8, 12]),  # four indices a unit
        (12, 16, (32,), list(range(1, 13))),  # a head of 32 channels fills whole blocks
        (12, 16, (4, 1), [4, 8, 12]),  # both axes, at 4 for want of room
        (48, 16, (3,), [16, 32, 48]),
        (10, 16, (), list(range(1, 11))),  # matrix products only
        (10, 1, (1,), list(range(1, 11))),  # alignment off
    ],
)
def test_admissible_counts(size, grid, steps, expected):
    assert counts(size, grid, *steps) == expected


@pytest.mark.parametrize(
    ("size", "steps", "wanted", "expected"),
    [
        (64, (1,), 16, [16, 32, 48, 64]),
        (64, (1,), 12, [8, 16, 32, 48, 64]),
        (64, (1,), 5, [4, 8, 16, 32, 48, 64]),
        (64, (1,), 1, [4, 8, 16, 32, 48, 64]),
        (16, (1,), 4, [4, 8, 16]),
        (4, (1,), 2, [4]),
        (12, (4,), 1, [1, 2, 4, 8, 12]),
        (10, (), 1, list(range(1, 11))),
    ],
)
def test_below_the_first_cell_finer_counts_join(size, steps, wanted, expected):
    assert admissible_counts(Group("g", size, (), (), steps=steps), 16, wanted=wanted).tolist() == expected


@given(
    size=st.integers(1, 300),
    grid=st.sampled_from([4, 8, 16, 32]),
    steps=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    wanted=st.none() | st.integers(1, 300),
)
@settings(max_examples=300, deadline=None)
def test_no_count_leaves_the_fast_path_where_one_on_it_exists(size, grid, steps, wanted):
    group = Group("g", size, (), (), steps=tuple(steps))
    found = admissible_counts(group, grid, wanted=wanted).tolist()
    assert found == sorted(set(found))
    assert found[-1] == size
    assert found[0] >= 1
    fast = [n for n in range(1, size) if all(n * step % 4 == 0 for step in steps)]
    if fast:
        assert set(found[:-1]) <= set(fast)
        assert len(found) > 1
    full_grid = [n for n in range(1, size + 1) if all(n * step % grid == 0 for step in steps)]
    if len(full_grid) >= 2 and (wanted is None or wanted >= full_grid[0]):
        assert found == sorted({*full_grid, size})
