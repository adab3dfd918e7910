"""Drugs of several data sets: by InChIKey, then by identifiers, names and synonyms."""

from difflib import get_close_matches

from combo_lightning.data.merging.joining import NEW, Entry, Words
from combo_lightning.data.names import KEY_RULE, drug_key
from combo_lightning.data.sources.drug_record import Drug, same_compound
from combo_lightning.data.sources.drug_schema import spelled_identifiers

# Nearest spellings are looked for among at most so many names.
_NEAR = 20_000


class DrugSeeker:
    """Finds drugs; see `Seeker`.

    Nothing that structures or identifiers contradict is one drug, whatever it is called. Bare
    numbers name drugs in many registries: equal ones are one drug only if the structures, or the
    names, are equal too.
    """

    what = "drugs"
    mend = "rename one of them, or give both data sets structures (--drugs of 'prepare')"
    shared = True

    def __init__(self) -> None:
        self._by_inchikey: dict[str, list[int]] = {}
        self._by_id: dict[str, list[int]] = {}
        self._words, self._keys = Words(), Words()
        self._drugs: dict[int, Drug] = {}

    def sure(self, entry: Entry) -> tuple[int, str]:
        """Find a drug by its InChIKey, or by its identifier where nothing contradicts."""
        drug = _drug(entry)
        by_id = self._by_id.get(entry.id, [])
        same = self._by_inchikey.get(entry.inchikey or "", [])
        if same:
            own = [place for place in same if place in by_id]
            return (own or same)[0], "" if own else "InChIKey"
        for place in by_id:
            other = self._drugs[place]
            named = not entry.id.isdigit() or _share_a_name(drug, other)
            if same_compound(drug, other) and (named or (drug.key and other.key)):
                return place, ""
        return NEW, ""

    def guess(self, entry: Entry) -> tuple[list[int], str]:
        """Find a drug by its names and synonyms, then by those but for case and punctuation."""
        drug = _drug(entry)
        for words, told in ((self._words, "a name or synonym"), (self._keys, KEY_RULE)):
            for word in entry.words:
                text = word if words is self._words else drug_key(word)
                if word.isdigit() or not text:
                    continue
                found = [p for p in words.find(text) if same_compound(drug, self._drugs[p])]
                if found:
                    return found, told
        return [], ""

    def nearest(self, entry: Entry) -> str | None:
        """Give the nearest spelling that is there, of its name."""
        if len(self._words) > _NEAR:
            return None
        offered = {drug_key(word): word for word in self._words}
        name = entry.words[entry.named - 1]
        nearest = get_close_matches(drug_key(name), offered, n=1, cutoff=0.6)
        return offered[nearest[0]] if nearest else None

    def add(self, entry: Entry, place: int) -> None:
        """Take in what a drug is called."""
        drug = _drug(entry)
        known = self._drugs.get(place)
        self._drugs[place] = drug if known is None else known.joined(drug)
        if entry.inchikey is not None:
            _put(self._by_inchikey, entry.inchikey, place)
        _put(self._by_id, entry.id, place)
        for n, word in enumerate(entry.words):
            if not word.isdigit():
                self._words.add(word, place, rank=int(n >= entry.named))
                self._keys.add(drug_key(word), place, rank=int(n >= entry.named))


def _put(index: dict[str, list[int]], text: str, place: int) -> None:
    places = index.setdefault(text, [])
    if place not in places:
        places.append(place)


def _drug(entry: Entry) -> Drug:
    """Give a data set's drug as what joins files knows it; bare numbers are no identifiers."""
    spelled = [pair for w in entry.words if not w.isdigit() for pair in spelled_identifiers(w)]
    return Drug(
        label=entry.id,
        rows=(),
        name=entry.words[entry.named - 1],
        synonyms=entry.words,
        identifiers={role: value for role, value in reversed(spelled) if role != "inchikey"},
        smiles=entry.inchikey,  # only whether there is a structure is asked
        smiles_row=-1,
        key=entry.inchikey,
        mechanism=None,
    )


def _share_a_name(a: Drug, b: Drug) -> bool:
    """Tell whether two drugs have a name in common, or one has no name but a number."""
    mine, theirs = (
        {drug_key(word) for word in (drug.name, *drug.synonyms) if not word.isdigit()}
        for drug in (a, b)
    )
    return not mine or not theirs or bool(mine & theirs)
