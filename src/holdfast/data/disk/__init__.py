"""Data larger than memory: files are read once and kept in the cache as memory-mapped Arrow.

source --read--> Piece, Piece, ...     build.py   resumed at the piece after the last whole part
pieces --------> 00000.arrow, ...      parts.py   blocks of a mebibyte, each with a checksum
key -----------> folder, lock          cache.py   one process prepares, others wait
folder --------> Store -> Column       store.py, columns.py   a list whose items are read when they are used
"""
