"""Files in pieces: a few examples at a time, in order, so that files of any size are read in bounded memory."""

from holdfast.data.pieces.piece import Piece, Source

__all__ = ["Piece", "Source"]
