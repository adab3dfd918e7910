"""Small files in the real formats, with their oddities, written by the tests themselves."""

from pathlib import Path

from combo_lightning.data.simulator_raw import HEADER

LINES = ("MCF7", "A549/ATCC", "HL-60(TB)")
SMILES = {"740": "CCO", "752": "CCN", "3053": "CC(=O)Oc1ccccc1C(=O)O"}


def write_scores(path: Path) -> Path:
    """The wide table: BOM, NA, a pair measured twice in opposite order, MDA-N without scores."""
    rows = [
        "NSC1,NSC2,MCF7,A549/ATCC,HL-60(TB),MDA-N",
        "740,752,10,-20,NA,NA",
        "752,740,12,-18,5,NA",
        "3053,740,NA,7,-300,NA",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode() + b"\r\n")
    return path


def write_drugs(path: Path) -> Path:
    rows = ["NSC,NAME,CID,SMILES,MOA_CELLMINER"]
    rows += [f'{nsc},"drug, {nsc}",1,{smiles},Df|{nsc}' for nsc, smiles in SMILES.items()]
    path.write_text("\n".join(rows) + "\n")
    return path


def write_cells(path: Path) -> Path:
    rows = ["CELLNAME,CELL,PANEL,CELLMINER", "MCF7,MCF7,Breast,BR:MCF7"]
    rows += ["A549/ATCC,A549,Non-Small Cell Lung,LC:A549/ATCC", "HL-60(TB),HL60,Leukemia,LE:HL-60"]
    rows += ["MDA-N,MDAN,Breast,ME:MDA-N"]
    path.write_text("\n".join(rows) + "\n")
    return path


def write_cellminer(path: Path, line_end: str = "\r") -> Path:
    """A text export: preamble, footnote letters, quotes, '-' and NA, a blank line, a footnote."""
    rows = [
        "CellMiner export",
        "",
        "Identifier c\tGene name d\tChromosome f\tBR:MCF7\tLC:A549/ATCC\tLE:HL-60(TB)\tME:MDA-N",
        "",
        '"probe_1"\tTP53 /// TP53B\t17\t1.5\t-2.5\t-\t0.5',
        "probe_2\tTP53\t17\t1\t9\tNA\t-9",
        "probe_2\tEGFR\t7\t0\t0.25\t3e-1\t4",
        "a: a footnote",
    ]
    path.write_bytes(line_end.join(rows).encode())
    return path


def well(
    nsc1: str = "740",
    conc1: str = "1e-06",
    nsc2: str = "",
    conc2: str = "",
    growth: str = "50",
    expected: str = "",
    cell: str = "MCF7",
    **changes: str,
) -> str:
    """One line of ComboDrugGrowth."""
    fields = dict.fromkeys(HEADER.split(","), "")
    fields |= {
        "COMBODRUGSEQ": "1", "SCREENER": "FF", "STUDY": "S1", "PLATE": f"S1{cell}", "NSC1": nsc1,
        "CONC1": conc1, "CONCUNIT1": "M", "NSC2": nsc2, "CONC2": conc2,
        "CONCUNIT2": "M" if nsc2 else "", "PERCENTGROWTH": growth, "EXPECTEDGROWTH": expected,
        "VALID": "Y", "PANEL": "Breast Cancer", "CELLNAME": cell,
    }  # fmt: skip
    return ",".join((fields | changes).values())


def block(
    nsc1: str, nsc2: str, growth: list[float], expected: list[float | None], **changes: str
) -> list[str]:
    """A full 3 x 3 block of combination wells."""
    doses = ["1e-08", "1e-07", "1e-06"]
    grid = [(a, b) for a in doses for b in doses]
    return [
        well(nsc1, a, nsc2, b, str(g), "" if e is None else str(e), **changes)
        for (a, b), g, e in zip(grid, growth, expected, strict=True)
    ]


def write_growth(path: Path, wells: list[str], *, end_mark: bool = True) -> Path:
    lines = [HEADER, *wells]
    path.write_text("\ufeff" + "\n".join(lines) + "\n" + ("\x1a" if end_mark else ""))
    return path
