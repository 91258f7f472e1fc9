"""Arrays that the C functions would misread are refused before they are called."""

import numpy as np
import pytest

from spikingconvnet.backends.local import native
from spikingconvnet.errors import NetworkError

GIVEN = {"offsets": np.zeros(3, np.int64), "neurons": np.zeros(0, np.uint16), "row_of": np.zeros(4, np.int16),
         "column_of": np.zeros(4, np.int16), "channel_of": np.zeros(4, np.int16), "height": 2}


@pytest.mark.parametrize("changed, text", [
    ({"offsets": np.zeros(3)}, "sort_by_row: offsets: must be at least 3 numbers of int64 without gaps, got float64"),
    ({"neurons": np.zeros(2, np.int16)}, "neurons: must be at least 0 numbers of uint16 or uint32"),
    ({"column_of": np.zeros(3, np.int16)}, "column_of: must be at least 4 numbers of int16"),
    ({"row_of": np.zeros(8, np.int16)[::2]}, "without gaps")])
def test_an_array_that_c_would_misread_is_refused(changed, text):
    native.sort_by_row(**GIVEN)
    with pytest.raises(NetworkError, match=text):
        native.sort_by_row(**{**GIVEN, **changed})
