"""A number that changes with the kernels' source, for numba's disk cache.

numba's cache notices a change in the file of the compiled function only, while the emitters of the
vector code live beside it: a stale machine code would compute with yesterday's emitter.
"""

import zlib
from pathlib import Path


def _stamp() -> int:
    checksum = 0
    for path in sorted(Path(__file__).parent.glob("*.py")):
        checksum = zlib.crc32(path.read_bytes(), checksum)
    return checksum


SOURCE_STAMP = _stamp()
