"""Numbers may be times: a split by time keeps their order, whatever their size and sign."""

import numpy as np
import pyarrow as pa

from volant.data.dataset import _as_time


def test_numbers_keep_their_order_as_moments():
    numbers = [None, float("-inf"), -1e300, -2.5, -2.0, -1e-9, 0.0, 0.25, 0.5, 1.0, 2019.5, 1e300, float("inf")]
    moments = _as_time(pa.array(numbers)).cast(pa.int64())
    assert moments[0].as_py() is None
    assert (np.diff(moments[1:].to_numpy()) > 0).all()
    assert _as_time(pa.array([-0.0])).cast(pa.int64()) == _as_time(pa.array([0.0])).cast(pa.int64())
