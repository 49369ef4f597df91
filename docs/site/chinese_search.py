"""Search in Chinese pages: a Chinese text is found by its pairs of neighbouring characters.

Sphinx's own search divides the pages into words with a dictionary, but not the query, so it finds a page only by a
query that is one word of the dictionary. Pairs of characters need no dictionary, and both sides divide in the same way.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

_RUN = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")


class SearchChinese(SearchEnglish):
    """English words, as in English pages, and pairs of Chinese characters."""

    lang = "zh"
    language_name = "English"  # of the stemmer: Chinese has no endings to remove
    js_splitter_code = r"""
var splitQuery = (query) =>
  (query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{L}\p{N}_])+/gu) || []).flatMap((run) =>
    /[\u3400-\u9fff]/.test(run) && run.length > 1
      ? Array.from(run.slice(1), (second, index) => run[index] + second)
      : [run],
  );
"""

    def split(self, input: str) -> list[str]:
        """The words and pairs of characters of a text; also its single characters, for queries of one.

        Example:
            >>> SearchChinese({}).split("LSTM 遗忘门")
            ['LSTM', '遗', '忘', '门', '遗忘', '忘门']
        """
        words: list[str] = []
        for run in _RUN.findall(input):
            if "\u3400" <= run[0] <= "\u9fff":
                words += [*run, *(run[index : index + 2] for index in range(len(run) - 1))]
            else:
                words.append(run)
        return words


def setup(app: Sphinx) -> dict[str, bool]:
    """Replaces Sphinx's search in Chinese."""
    app.add_search_language(SearchChinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
