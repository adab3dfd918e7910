"""Cell lines of several data sets: by the project's resolver of names, over all their names."""

from combo_lightning.data.cell_names import KnownLines
from combo_lightning.data.merging.joining import NEW, Entry, Words
from combo_lightning.data.names import Offered, cell_key

OTHER_NAME = "another name that both carry"


class LineSeeker:
    """Finds cell lines; see `Seeker` and `data.names.Offered`.

    Args:
        known: Tables of other names; None: none were given.
    """

    what = "cell lines"
    mend = "rename one of them, or put a table that tells them apart first in --cell_names"
    shared = False

    def __init__(self, known: KnownLines | None) -> None:
        self._known = known
        self._ids: dict[str, int] = {}
        self._words = Words()
        self._offered: Offered | None = None

    def sure(self, entry: Entry) -> tuple[int, str]:
        """Find a line by its identifier, exactly."""
        return self._ids.get(entry.id, NEW), ""

    def guess(self, entry: Entry) -> tuple[list[int], str]:
        """Find a line by its names in their order, in all the ways of the resolver."""
        for word in entry.words:
            names, told = self._names.find(word)
            places = list(dict.fromkeys(p for name in names for p in self._words.find(name)))
            if places:
                return places, told or OTHER_NAME
        return [], ""

    def nearest(self, entry: Entry) -> str | None:
        """Give the nearest spelling that is there."""
        return self._names.nearest(entry.id)

    def add(self, entry: Entry, place: int) -> None:
        """Take in what a line is called."""
        self._offered = None
        self._ids.setdefault(entry.id, place)
        for n, word in enumerate(entry.words):
            self._words.add(word, place, rank=int(n >= entry.named))

    @property
    def _names(self) -> Offered:
        if self._offered is None:
            self._offered = Offered(list(self._words), cell_key, self._known)
        return self._offered
