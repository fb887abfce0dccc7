"""Array types that the rooms share."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
HourArray = npt.NDArray[np.int64]  # whole hours since 1970-01-01T00:00Z
RowArray = npt.NDArray[np.int64]  # positions in a table or series
SideArray = npt.NDArray[np.int8]  # -1 short, 0 flat, +1 long
