"""The vocabulary of a text: words, characters or byte-pair pieces, by the library ``tokenizers``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, PlainSerializer

from holdfast.data.disk.derived import ids
from holdfast.data.saved import Saved
from holdfast.errors import DataError, MissingLibraryError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
else:
    Tokenizer = Any  # pydantic evaluates the annotations, and the library is optional

Unit = Literal["words", "characters", "pieces", "tokens"]

PADDING, UNKNOWN, BEGIN, END = range(4)
"""The special ids: past the end of a row, for tokens that training did not see, before a text and after a text."""

SPECIAL = ["<padding>", "<unknown>", "<begin>", "<end>"]
_NO_LIMIT = 1 << 30
_PIECES, _LEAST_OF_PIECE = 8000, 10
"""What limits the pieces where nothing is said. Without the second, few texts become pieces that occur once each."""


def _tokenizers() -> ModuleType:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingLibraryError(
            "Texts need the library tokenizers, which is not installed: pip install 'holdfast[text]'."
        ) from error
    return tokenizers


def _opened(saved: object) -> Tokenizer:
    """The tokenizer that JSON describes; a tokenizer is returned unchanged."""
    kind: type[Tokenizer] = _tokenizers().Tokenizer
    if isinstance(saved, kind):
        return saved
    try:
        return kind.from_str(cast(str, saved))
    except Exception as error:  # tokenizers raises no narrower class
        raise ValueError(f"the library tokenizers cannot read it ({error})") from error


def _as_json(tokenizer: Tokenizer) -> str:
    return tokenizer.to_str()


class Vocabulary(Saved):
    """Turns texts into ids and ids into texts.

    Attributes:
        unit: What an id stands for: ``"words"``, ``"characters"``, ``"pieces"``, or ``"tokens"``: each text is one
            token.
        tokenizer: A ``tokenizers.Tokenizer``; in a model file its JSON, as text.
    """

    unit: Unit
    tokenizer: Annotated[Tokenizer, BeforeValidator(_opened), PlainSerializer(_as_json)]

    @classmethod
    def fit(cls, texts: Iterable[str], unit: Unit, *, size: int = 0, lower: bool = False, least: int = 1) -> Vocabulary:
        """Builds the vocabulary of texts.

        Words are runs of letters, digits and underscores, and runs of other signs (``don't`` is three words). Pieces
        are those of byte-pair encoding (Sennrich et al. 2016), which never cross a space.

        Args:
            texts: The training texts, and nothing else.
            unit: ``"words"``, ``"characters"``, ``"pieces"`` or ``"tokens"``.
            size: The largest number of ids, including the four of ``SPECIAL``; 0 for no limit (with pieces:
                8,000, of pieces that occur at least 10 times; rarer ones are not learned, Gowda & May 2020).
            lower: Whether texts are converted to lower case.
            least: Leave out tokens that occur less often than this.

        Raises:
            DataError: The texts are empty.
            MissingLibraryError: tokenizers is not installed.
        """
        tokenizers = _tokenizers()
        decoders, models, pre_tokenizers = tokenizers.decoders, tokenizers.models, tokenizers.pre_tokenizers
        limit = size or _NO_LIMIT
        if unit == "pieces" and not size:
            limit, least = _PIECES, max(least, _LEAST_OF_PIECE)
        common: dict[str, Any] = {"vocab_size": limit, "min_frequency": least, "special_tokens": SPECIAL}
        common["show_progress"] = False
        if unit == "pieces":
            tokenizer = tokenizers.Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            tokenizer.decoder = decoders.Metaspace()
            trainer: Any = tokenizers.trainers.BpeTrainer(**common)
        else:
            tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
            if unit == "words":
                tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
            elif unit == "characters":
                tokenizer.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
                tokenizer.decoder = decoders.Fuse()
            trainer = tokenizers.trainers.WordLevelTrainer(**common)
        if lower:
            tokenizer.normalizer = tokenizers.normalizers.Lowercase()
        tokenizer.train_from_iterator(texts, trainer)
        vocabulary = cls(unit=unit, tokenizer=tokenizer)
        if len(vocabulary) == len(SPECIAL):
            raise DataError(
                f"The texts to build a vocabulary of {unit} from are empty; expected at least one with a token."
            )
        return vocabulary

    def __len__(self) -> int:
        """The number of ids, including those of ``SPECIAL``."""
        return self.tokenizer.get_vocab_size()

    @property
    def tokens(self) -> list[str]:
        """The token of each id."""
        return [str(self.tokenizer.id_to_token(index)) for index in range(len(self))]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without ``BEGIN`` and ``END``.

        Raises:
            DataError: A text holds half a surrogate pair, which is no character.
        """
        try:
            encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except TypeError as error:  # tokenizers takes only what UTF-8 can hold
            broken = next((text for text in texts if re.search("[\ud800-\udfff]", text)), None)
            if broken is None:
                raise
            raise DataError(
                f"The text {broken[:40]!r} holds half a surrogate pair, which is no character; expected Unicode text. "
                "Decode it with the encoding it was written in."
            ) from error
        return [encoding.ids for encoding in encodings]

    def encode_all(
        self, texts: Sequence[str], *, least: Sequence[int] = (), identity: Any = None
    ) -> Sequence[Sequence[int]]:
        """The ids of each text, as :meth:`encode`; of texts on disk, ids on disk.

        Args:
            texts: The texts.
            least: The ids of a text without tokens.
            identity: A JSON value that identifies a function that changes texts on disk.
        """

        def encode(some: Sequence[str]) -> list[list[int]]:
            return [row or list(least) for row in self.encode(some)]

        return ids(texts, encode, [self.unit, _as_json(self.tokenizer), list(least), identity])

    def spelled(self, text: str) -> list[str]:
        """The tokens of a text as they are written in the vocabulary; one unknown token for a text without tokens."""
        names = self.tokens
        return [names[index] for index in self.encode([text])[0] or [UNKNOWN]]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without the ids of ``SPECIAL`` other than ``UNKNOWN``."""
        kept = [index for index in ids if index >= len(SPECIAL) or index == UNKNOWN]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False))
