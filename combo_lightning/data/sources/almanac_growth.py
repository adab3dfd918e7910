"""NCI-ALMANAC dose-level growth: one row a well, in the 29 columns of ``ComboDrugGrowth``.

CONC is molar (CONCUNIT M), growth in percent. A single-agent well has no NSC2. The full file has
3.7 million rows, repeated header lines, a final 0x1A, and rows whose VALID is not Y. It is read in
a stream: memory holds a few numbers a well, never text. Source: NCI, ComboDrugGrowth_Nov2017.csv.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from combo_lightning.data.cell_names import KnownLine
from combo_lightning.data.columns import true_rows
from combo_lightning.data.dataset import SourceFile, kind_named
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.duplicates import merge_duplicates
from combo_lightning.data.growth import expected_growth, score
from combo_lightning.data.identity import combine_codes
from combo_lightning.data.schema import ResponseKind
from combo_lightning.data.sources.columns import reads_as_number
from combo_lightning.data.sources.raw_text import find_columns, is_gzip, open_text, require_file
from combo_lightning.data.sources.screen_entities import EntityFiles, build_cells, build_drugs
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

OPTION = "--growth"
RESPONSES = ("growth", "min-growth", "combo-score")
_COLUMNS = (
    "STUDY", "PLATE", "NSC1", "CONC1", "CONCUNIT1", "NSC2", "CONC2", "CONCUNIT2",
    "PERCENTGROWTH", "EXPECTEDGROWTH", "VALID", "PANEL", "CELLNAME",
)  # fmt: skip
_BLOCK_BYTES = 1 << 24

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]


@dataclass
class Vocabulary:
    """Names that came up so far, numbered in order of appearance."""

    index: dict[str, int] = field(default_factory=dict)

    def encode(self, column: Any) -> npt.NDArray[np.int32]:
        """Number a text column; null is -1. Only distinct names pass through Python."""
        encoded = pc.dictionary_encode(column)
        names = encoded.dictionary.to_pylist()
        lookup = np.array([self.index.setdefault(n, len(self.index)) for n in names] + [-1])
        codes = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        result: npt.NDArray[np.int32] = lookup[codes].astype(np.int32)
        return result

    @property
    def names(self) -> list[str]:
        """The names, by number."""
        return list(self.index)


@dataclass
class Wells:
    """Wells as numbers, and the names behind them.

    Args:
        cell_N: Cell line.
        drug_N2: Drugs; -1: none.
        log10_molar_N2: Doses; NaN where there is no drug.
        growth_N: Percent growth.
        expected_N: Expected growth as the file states it; NaN where it does not.
        plate_N: Study and plate.
        study_N: Study.
    """

    cell_N: npt.NDArray[np.int32]
    drug_N2: npt.NDArray[np.int32]
    log10_molar_N2: npt.NDArray[np.float32]
    growth_N: npt.NDArray[np.float64]
    expected_N: npt.NDArray[np.float64]
    plate_N: npt.NDArray[np.int32]
    study_N: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.cell_N)

    def take(self, rows: npt.NDArray[Any]) -> "Wells":
        """Give some of the wells."""
        return Wells(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def join(cls, parts: list["Wells"]) -> "Wells":
        """Put batches together."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


class GrowthFile:
    """Read the wells of a growth file batch by batch, counting what is dropped and why.

    Args:
        path: The file, gzip or plain.
    """

    def __init__(self, path: Path) -> None:
        self.path = require_file(path, OPTION)
        self.dropped: Counter[str] = Counter()
        self.cells, self.drugs = Vocabulary(), Vocabulary()
        self.plates, self.studies = Vocabulary(), Vocabulary()
        self.tissue: dict[str, str | None] = {}
        self._row = 1  # the header is line 1

    def batches(self) -> Iterator[Wells]:
        """Read the valid wells.

        Raises:
            InputError: If the file is damaged, of another layout, or holds text among numbers.
        """
        compression = "gzip" if is_gzip(self.path) else None
        header = self._header()
        as_text = pacsv.ConvertOptions(
            include_columns=list(_COLUMNS),
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        )
        try:
            with pa.input_stream(str(self.path), compression=compression) as stream:
                reader = pacsv.open_csv(
                    stream,
                    read_options=pacsv.ReadOptions(
                        block_size=_BLOCK_BYTES, column_names=header, skip_rows=1
                    ),
                    parse_options=pacsv.ParseOptions(invalid_row_handler=self._skip),
                    convert_options=as_text,
                )
                for batch in reader:
                    yield self._wells(batch)
                    self._row += len(batch)
        except pa.ArrowInvalid as error:
            raise InputError(f"{OPTION}: cannot read {self.path}: {error}") from error
        except OSError as error:
            raise InputError(
                f"{OPTION}: {self.path} is damaged or truncated ({error}); download it again"
            ) from error
        if not self.cells.index:
            raise InputError(f"{OPTION}: {self.path} holds no valid well of a line and a drug")

    def _skip(self, row: Any) -> str:
        # The full file ends in a line of one 0x1A; another torn line is refused.
        if row.text is not None and row.text.strip("\x1a \r\n") == "":
            self.dropped["end-of-file mark"] += 1
            return "skip"
        return "error"

    def _header(self) -> list[str]:
        """Read the names of the columns, those that are needed as the official file spells them.

        Raises:
            InputError: If one is missing or stands twice.
        """
        with open_text(self.path, OPTION) as stream:
            if not (line := stream.readline()):
                raise InputError(f"{OPTION}: {self.path} is empty")
        header = [name.strip().strip('"') for name in line.split(",")]
        for name, i in find_columns(header, list(_COLUMNS), self.path, OPTION).items():
            header[i] = name
        return header

    def _wells(self, batch: Any) -> Wells:
        keep = self._keep(batch)
        batch = batch.filter(pa.array(keep))
        line = np.flatnonzero(keep)
        growth = self._numbers(batch, "PERCENTGROWTH", line)
        conc = np.stack([self._numbers(batch, name, line) for name in ("CONC1", "CONC2")], axis=1)
        drug_N2 = np.stack([self.drugs.encode(batch.column(n)) for n in ("NSC1", "NSC2")], axis=1)
        bad_dose = ((drug_N2 >= 0) & ~(conc > 0)).any(axis=1)
        good = ~np.isnan(growth) & ~bad_dose
        self.dropped["missing growth"] += int(np.isnan(growth).sum())
        self.dropped["dose missing or not above 0"] += int((bad_dose & ~np.isnan(growth)).sum())
        cells = batch.column("CELLNAME")
        self._note_tissues(cells, batch.column("PANEL"))
        plate = pc.binary_join_element_wise(
            batch.column("STUDY"), batch.column("PLATE"), " ", null_handling="replace"
        )
        wells = Wells(
            cell_N=self.cells.encode(cells),
            drug_N2=drug_N2,
            log10_molar_N2=np.log10(np.where(drug_N2 >= 0, np.where(conc > 0, conc, 1), np.nan)),
            growth_N=growth,
            expected_N=self._numbers(batch, "EXPECTEDGROWTH", line),
            plate_N=self.plates.encode(plate),
            study_N=self.studies.encode(batch.column("STUDY")),
        )
        return wells.take(good)

    def _keep(self, batch: Any) -> npt.NDArray[np.bool_]:
        """Tell which rows are valid wells, and count the others by reason."""
        left = np.ones(len(batch), dtype=bool)

        def equals(name: str, value: str) -> npt.NDArray[np.bool_]:
            return true_rows(pc.equal(batch.column(name), value))

        def drop(reason: str, rows: npt.NDArray[np.bool_]) -> None:
            self.dropped[reason] += int((left & rows).sum())
            left[rows] = False

        no_cell = batch.column("CELLNAME").is_null().to_numpy(zero_copy_only=False)
        no_drug = batch.column("NSC1").is_null().to_numpy(zero_copy_only=False)
        pair = batch.column("NSC2").is_valid().to_numpy(zero_copy_only=False)
        drop("repeated header line", equals("NSC1", "NSC1"))
        drop("VALID other than Y", ~equals("VALID", "Y"))
        drop("no cell line or drug", no_cell | no_drug)
        molar = equals("CONCUNIT1", "M") & (~pair | equals("CONCUNIT2", "M"))
        drop("concentration not molar", ~molar)
        return left

    def _numbers(self, batch: Any, name: str, line: Codes) -> npt.NDArray[np.float64]:
        """Convert a text column; null becomes NaN.

        Raises:
            InputError: With the first field that is no number.
        """
        column = pc.utf8_trim_whitespace(batch.column(name))
        try:
            values = pc.cast(column, pa.float64())
        except pa.ArrowInvalid:
            fields = enumerate(column.to_pylist())
            i, text = next((i, t) for i, t in fields if t is not None and not reads_as_number(t))
            raise InputError(
                f"{OPTION}: {self.path}, line {self._row + int(line[i]) + 1}, column '{name}' "
                f"holds '{text}', which is no number"
            ) from None
        array = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        infinite = np.flatnonzero(np.isinf(array))
        if infinite.size:
            raise InputError(
                f"{OPTION}: {self.path}, line {self._row + int(line[infinite[0]]) + 1}, column "
                f"'{name}' is infinite"
            )
        return array

    def _note_tissues(self, cells: Any, panels: Any) -> None:
        both = pa.table({"cell": cells, "panel": panels}).group_by(["cell", "panel"]).aggregate([])
        for cell, panel in zip(both["cell"].to_pylist(), both["panel"].to_pylist(), strict=True):
            name = panel.removesuffix(" Cancer") if panel else None
            self.tissue[cell] = self.tissue.get(cell) or name


def prepare_growth(
    growth: Path,
    response: str,
    files: EntityFiles,
    target: Target,
    *,
    fraction: bool = False,
) -> Path:
    """Turn a growth file into a data set.

    Args:
        growth: The file.
        response: "growth" (every well), "min-growth" (lowest growth of a pair in a line over its
            doses, the published Combo model's) or "combo-score" (by the published rule).
        files: What describes cell lines and drugs.
        target: The data set to make.
        fraction: Divide growth by 100, as the published Combo model does.

    Returns:
        The data set's directory.

    Raises:
        InputError: If a file does not fit, or no well is left.
    """
    kind = kind_named(response.replace("-", "_"))
    if fraction:
        if kind.name == "combo_score":
            raise InputError("--fraction is for growth; a ComboScore stays in points")
        kind = replace(kind, unit="fraction growth")
    source = GrowthFile(growth)
    with target.writer(kind, 2) as writer:
        if response == "growth":
            for wells in source.batches():
                if len(wells):
                    writer.append(_rows(source, wells, wells.growth_N, kind, fraction=fraction))
        else:
            wells = Wells.join(list(source.batches()))
            reduce = lowest_growth if response == "min-growth" else combo_scores
            rows, values = reduce(wells, source.dropped)
            if not len(rows):
                raise InputError(f"{OPTION}: {growth} holds no {response} to compute")
            writer.append(_rows(source, wells.take(rows), values, kind, fraction=fraction))
        lines = [KnownLine(name, tissue=source.tissue[name]) for name in source.cells.names]
        cells, cell_reports = build_cells(lines, files)
        drugs, drug_reports = build_drugs(source.drugs.names, files, nsc_only=True)
        if files.merge_duplicates:
            drugs = merge_duplicates(writer, drugs)
        reports = (*cell_reports, *drug_reports)
        for report in reports:
            logger.info("%s", "\n".join(report.lines()))
        dropped = {reason: n for reason, n in source.dropped.items() if n}
        for reason, count in dropped.items():
            logger.info("dropped %d: %s", count, reason)
        stated = {"dropped": dropped, "joins": [report.to_plain() for report in reports]}
        return writer.finish(
            cells, drugs, [SourceFile.of(growth), *files.sources()], {**target.made_by, **stated}
        )


def _rows(
    source: GrowthFile, wells: Wells, values: Floats, kind: ResponseKind, *, fraction: bool
) -> Any:
    def named(codes: npt.NDArray[np.int32], names: list[str]) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(names))

    columns = {
        "cell_id": named(wells.cell_N, source.cells.names),
        "drug_1": named(wells.drug_N2[:, 0], source.drugs.names),
        "drug_2": named(wells.drug_N2[:, 1], source.drugs.names),
        "plate": named(wells.plate_N, source.plates.names),
        "response": pa.array((values / 100 if fraction else values).astype(np.float32)),
    }
    if kind.per_dose:
        for slot in range(2):
            dose = pa.array(wells.log10_molar_N2[:, slot].astype(np.float32), from_pandas=True)
            columns[f"log10_molar_{slot + 1}"] = dose
    return pa.table(columns)


def lowest_growth(wells: Wells, dropped: Counter[str]) -> tuple[Codes, Floats]:
    """Find the lowest growth of each pair in each line, in each order it was measured in.

    Returns:
        A well of each pair and line, and its growth.
    """
    pairs = np.flatnonzero((wells.drug_N2 >= 0).all(axis=1))
    dropped["single-agent well (a pair's response)"] += len(wells) - len(pairs)
    key = combine_codes([wells.cell_N[pairs], *wells.drug_N2[pairs].T])
    order = np.lexsort((wells.growth_N[pairs], key))
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    rows = np.sort(pairs[order[first]])
    return rows, wells.growth_N[rows]


def combo_scores(wells: Wells, dropped: Counter[str]) -> tuple[Codes, Floats]:
    """Sum the wells' scores over each block: one pair in one line on one plate.

    Where the file states no expected growth it is computed from the same study's single-agent
    wells by modified Bliss. A block that is no full grid of doses is dropped.

    Returns:
        A well of each block, and its ComboScore.
    """
    pair = (wells.drug_N2 >= 0).all(axis=1)
    pairs = np.flatnonzero(pair)
    expected = wells.expected_N[pairs]
    lacking = np.isnan(expected)
    if lacking.any():
        expected[lacking] = _bliss_from_singles(wells, np.flatnonzero(~pair), pairs[lacking])
    usable = ~np.isnan(expected)
    dropped["single-agent well (used for expected growth)"] += int((~pair).sum())
    dropped["no expected growth"] += int((~usable).sum())
    pairs, expected = pairs[usable], expected[usable]
    points = score(expected, wells.growth_N[pairs])
    block = combine_codes([wells.cell_N[pairs], *wells.drug_N2[pairs].T, wells.plate_N[pairs]])
    count = np.bincount(block)
    dose_N2 = np.rint(wells.log10_molar_N2[pairs] * 1000).astype(np.int64)
    sides = []
    for dose in dose_N2.T:
        distinct = np.unique(np.stack([block, dose - dose.min(initial=0)]), axis=1)[0]
        sides.append(np.bincount(distinct, minlength=len(count)))
    # ALMANAC's grids are 3 x 3, or 5 x 3 at one site.
    full = (count == sides[0] * sides[1]) & (count >= 9)
    dropped["well of an incomplete block"] += int((~full[block]).sum())
    total = np.bincount(block, points)
    _, first = np.unique(block, return_index=True)
    return pairs[first[full]], total[full]


def _bliss_from_singles(wells: Wells, singles: Codes, pairs: Codes) -> Floats:
    """Look each drug's own growth up: same study, line and dose; the mean over its wells."""

    def keys(rows: Codes, slot: int) -> list[Codes]:
        dose = np.rint(np.nan_to_num(wells.log10_molar_N2[rows, slot]) * 1000).astype(np.int64)
        return [wells.study_N[rows], wells.cell_N[rows], wells.drug_N2[rows, slot], dose + 100_000]

    tables = [keys(singles, 0), keys(pairs, 0), keys(pairs, 1)]
    code = combine_codes([np.concatenate(column) for column in zip(*tables, strict=True)])
    single, first, second = np.split(code, np.cumsum([len(singles), len(pairs)]))
    size = int(code.max(initial=0)) + 1
    count = np.bincount(single, minlength=size)
    total = np.bincount(single, wells.growth_N[singles], minlength=size)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.round(expected_growth(np.stack([mean[first], mean[second]], axis=1)), 3)
