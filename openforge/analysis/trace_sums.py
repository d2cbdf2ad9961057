"""The sums that statistics of stored traces are made of, by compiled code or by numpy.

Each function takes ``traces [n, n_samples]`` (C order), ``rows : int64[k]``, the traces to sum, and
`powers`, how many powers are wanted, and gives arrays ``[powers, n_samples]``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openforge import native

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

CENTRE = {"uint8": 128, "uint16": 1 << 15, "int16": 0}
"""What integer values are taken relative to; 0 for uint8 where only two powers are wanted."""
BASE = 62
"""Bits of the low part of an integer sum."""

# Of each power of a 16-bit value its terms in `of_trace_terms_16`, and their weights (log2)
_TERMS_16 = (
    ((0, 0),),
    ((1, 0),),
    ((2, 0),),
    ((3, 23), (4, 0)),
    ((5, 23), (6, 0)),
    ((7, 46), (8, 24), (9, 0)),
)
_ROWS_NUMPY = 256  # numpy is fastest on what fits the cache


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _where(traces: NDArray[Any], rows: Ints) -> tuple[Any, ...]:
    """The first arguments of every compiled function."""
    counts = ctypes.c_int64(traces.shape[1]), ctypes.c_int64(len(rows))
    return _pointer(traces), counts[0], _pointer(rows), counts[1]


def _blocks(rows: Ints, size: int) -> Iterable[Ints]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def powers_8(traces: NDArray[Any], rows: Ints, powers: int) -> tuple[Ints, Ints]:
    """High and low parts of the power sums of the traces `rows`, about 0 (order 1) or 128."""
    n_samples = traces.shape[1]
    # Powers 3 and 4 cost as much as 3 to 6: the compiled sums are of two or of six
    sums = np.zeros((2 if powers == 2 else 6, n_samples), np.int64)
    centre = 0 if powers == 2 else CENTRE["uint8"]
    library = native.library()
    if library is None:
        for block in _blocks(rows, _ROWS_NUMPY):
            v = traces[block].astype(np.int64) - centre
            power = v.copy()
            for k in range(len(sums)):
                sums[k] += power.sum(axis=0)
                power *= v
    else:
        function = library.of_trace_sums_2 if powers == 2 else library.of_trace_sums_6
        neutral = np.full(n_samples, centre, np.uint8)
        function(*_where(traces, rows), _pointer(neutral), _pointer(sums))
    return sums[:powers] >> BASE, sums[:powers] & ((1 << BASE) - 1)


def powers_16(traces: NDArray[Any], rows: Ints, powers: int) -> tuple[Ints, Ints]:
    """High and low parts of the power sums of the traces `rows` (at most 512)."""
    n_samples, centre = traces.shape[1], CENTRE[traces.dtype.name]
    terms = np.zeros((10, n_samples), np.int64)
    library = native.library()
    if library is None:
        for block in _blocks(rows, _ROWS_NUMPY):
            v = traces[block].astype(np.int64) - centre
            q = v * v
            cube = q * v
            h, low = cube >> 23, cube & ((1 << 23) - 1)
            products = (v, q, cube, h * v, low * v, h * q, low * q, h * h, h * low, low * low)
            terms += [product.sum(axis=0) for product in products]
    else:
        flipped = ctypes.c_int32((1 << 15) - centre)  # two's complement to offset binary
        library.of_trace_terms_16(*_where(traces, rows), flipped, _pointer(terms))
    high, low_part = np.zeros((2, powers, n_samples), np.int64)
    for power, found in enumerate(_TERMS_16[:powers]):
        for index, weight in found:
            free = BASE - weight
            high[power] += terms[index] >> free
            low_part[power] += (terms[index] & ((1 << free) - 1)) << weight
            high[power] += low_part[power] >> BASE
            low_part[power] &= (1 << BASE) - 1
    return high, low_part


def central(traces: NDArray[Any], rows: Ints, powers: int) -> tuple[Floats, Floats]:
    """Mean, and sums of the powers 2.. of the differences to it, of the traces `rows`."""
    mean, sums = np.zeros(traces.shape[1]), np.zeros((6, traces.shape[1]))
    library = native.library()
    if library is None:
        for block in _blocks(rows, _ROWS_NUMPY):
            mean += traces[block].sum(axis=0, dtype=np.float64)
        mean /= len(rows)
        for block in _blocks(rows, _ROWS_NUMPY):
            v = traces[block] - mean
            q = v * v
            cube = q * v
            sums += [x.sum(axis=0) for x in (v, q, cube, q * q, q * cube, cube * cube)]
    else:
        library.of_trace_sum_f32(*_where(traces, rows), _pointer(mean))
        mean /= len(rows)
        library.of_trace_sums_f32(*_where(traces, rows), _pointer(mean), _pointer(sums))
    return mean, sums[1:powers]


KINDS: dict[str, tuple[Callable[[NDArray[Any], Ints, int], Any], int]] = {
    "uint8": (powers_8, 1 << 20),
    "uint16": (powers_16, 512),
    "int16": (powers_16, 512),
    "float32": (central, 4096),
}
"""For each dtype its function, and how many traces that can sum: the sums must fit 64 bits."""
