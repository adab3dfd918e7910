"""One drug as several rows tell of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from combo_lightning.data.chemistry import inchikey
from combo_lightning.data.sources.drug_schema import IDENTIFIERS, DrugTable
from combo_lightning.errors import InputError

# Second block of an InChIKey without stereochemistry, isotopes and charge.
_FLAT = "UHFFFAOYSA"


@dataclass(frozen=True)
class Drug:
    """What is known of a drug.

    Args:
        label: What it was asked for as.
        rows: Rows of the table that tell of it; the first counts most.
        name: Its name.
        synonyms: Its other names.
        identifiers: Values by role, those that are known.
        smiles: Its structure; None: unknown.
        smiles_row: Row that gives it; -1: none does.
        key: InChIKey of the drug itself, computed from the structure; None: no structure.
        mechanism: Its mechanism; None: unknown.
        notes: What was decided, for people.
    """

    label: str
    rows: tuple[int, ...]
    name: str
    synonyms: tuple[str, ...]
    identifiers: Mapping[str, str]
    smiles: str | None
    smiles_row: int
    key: str | None
    mechanism: str | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: DrugTable, rows: Sequence[int], label: str) -> "Drug":
        """Join rows that tell of one drug.

        Args:
            table: The drugs.
            rows: Its rows; the first counts most.
            label: What it was asked for as.

        Raises:
            InputError: If a structure cannot be read.
        """
        drugs = [cls._of_row(table, row, label) for row in rows]
        drug = drugs[0]
        for other in drugs[1:]:
            if drug.key and other.key and not same_compound(drug, other):
                note = (
                    f"{label}: structures disagree; taken is that of "
                    f"{table.place(drug.smiles_row)}, not of {table.place(other.smiles_row)}"
                )
                other = replace(other, smiles=None, smiles_row=-1, key=None, notes=(note,))
            drug = drug.joined(other)
        return drug

    @classmethod
    def _of_row(cls, table: DrugTable, row: int, label: str) -> "Drug":
        values = {name: table.rows.column(name)[row].as_py() for name in table.rows.column_names}
        identifiers = {role: values[role] for role in IDENTIFIERS if values[role]}
        synonyms = tuple(word for word in values["synonyms"] or () if word)
        named = (values["name"], values["own"], *synonyms, *identifiers.values(), label)
        smiles, notes = values["smiles"], tuple[str, ...]()
        try:
            key = inchikey(smiles, label) if smiles else None
        except InputError as error:
            if not table.files[values["file"]].lenient:
                raise InputError(f"{table.place(row)}: {error}") from error
            notes = (f"{table.place(row)}: RDKit cannot read '{smiles}', which is left out",)
            smiles, key = None, None
        return cls(
            label=label,
            rows=(row,),
            name=next(word for word in named if word),
            synonyms=synonyms,
            identifiers=identifiers,
            smiles=smiles,
            smiles_row=row if smiles else -1,
            key=key,
            mechanism=values["mechanism"],
            notes=notes,
        )

    def joined(self, other: "Drug") -> "Drug":
        """Add what another row tells: of two structures, the first, or the one with stereo."""
        taken = self
        if other.smiles and (
            not self.smiles
            or (_is_flat(self) and not _is_flat(other) and self.key[:14] == other.key[:14])  # type: ignore[index]
        ):
            taken = other
        words = (*self.synonyms, other.name, *other.synonyms)
        return replace(
            self,
            rows=tuple(dict.fromkeys((*self.rows, *other.rows))),
            synonyms=tuple(w for w in dict.fromkeys(words) if w != self.name),
            identifiers={**other.identifiers, **self.identifiers},
            smiles=taken.smiles,
            smiles_row=taken.smiles_row,
            key=taken.key,
            mechanism=self.mechanism or other.mechanism,
            notes=(*self.notes, *other.notes),
        )


def same_compound(a: Drug, b: Drug) -> bool:
    """Tell whether two drugs are one: by structure, else by what they are registered as.

    Equal InChIKeys (of salt and base alike), or equal first blocks one of which has no
    stereochemistry, are one compound. Without structures, one common identifier will do, or that
    none contradicts.
    """
    if a.key and b.key:
        return a.key == b.key or (a.key[:14] == b.key[:14] and (_is_flat(a) or _is_flat(b)))
    common = a.identifiers.keys() & b.identifiers.keys()
    return not common or any(a.identifiers[role] == b.identifiers[role] for role in common)


def _is_flat(drug: Drug) -> bool:
    return drug.key is not None and drug.key[15:25] == _FLAT
