"""A lock on an open file: one process has it, or several share it, until they close the file or end.

The branch for Windows is untested.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    _PLACE, _PLACES = 2**30, 64  # the locked bytes, beyond the text in the file, which others may read

    def take(descriptor: int) -> bool:
        """Takes the lock of an open file.

        Args:
            descriptor: The file, open for reading and writing.

        Returns:
            Whether this process has the lock now; false if another one has it or shares it.
        """
        return _locked(descriptor, _PLACE, _PLACES)

    def share(descriptor: int) -> bool:
        """Shares the lock of an open file; here with 63 others at most.

        Args:
            descriptor: The file, open for reading and writing.

        Returns:
            Whether this process shares the lock now; false if another one has it alone.
        """
        return any(_locked(descriptor, _PLACE + place, 1) for place in range(_PLACES))

    def _locked(descriptor: int, place: int, count: int) -> bool:
        os.lseek(descriptor, place, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, count)
        except OSError:
            return False
        return True

else:
    import fcntl

    def take(descriptor: int) -> bool:
        """Takes the lock of an open file.

        Args:
            descriptor: The file, open for reading and writing.

        Returns:
            Whether this process has the lock now; false if another one has it or shares it.
        """
        return _locked(descriptor, fcntl.LOCK_EX)

    def share(descriptor: int) -> bool:
        """Shares the lock of an open file with all that share it.

        Args:
            descriptor: The file, open for reading.

        Returns:
            Whether this process shares the lock now; false if another one has it alone.
        """
        return _locked(descriptor, fcntl.LOCK_SH)

    def _locked(descriptor: int, how: int) -> bool:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
