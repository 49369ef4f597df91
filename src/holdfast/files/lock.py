"""A lock on an open file, which a process has until it closes the file or ends. The branch for Windows is untested."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    _PLACE = 2**30  # the locked byte, beyond the text in the file, which others may read

    def take(descriptor: int) -> bool:
        """Takes the lock of an open file.

        Args:
            descriptor: The file, open for reading and writing.

        Returns:
            Whether this process has the lock now; false if another one has it.
        """
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
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
            Whether this process has the lock now; false if another one has it.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
