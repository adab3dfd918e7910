"""Molecular profiles in the layouts that the public sources give them, written by the tests."""

from pathlib import Path

from tests.data.sources.xls import Cell, write_xls

DEPMAP_OLD = (
    ",TSPAN6 (7105),TP53 (7157),ZNF781 (Unknown)\n"
    "ACH-000019,4.5,1.25,0\n"
    "ACH-000681,0,2.5,\n"
    "ACH-000002,0.125,3,7\n"
)
DEPMAP_NEW = (
    ",SequencingID,ModelConditionID,ModelID,IsDefaultEntryForMC,IsDefaultEntryForModel,"
    "TSPAN6 (7105),TP53 (7157),ZNF781 (Unknown)\n"
    "0,CDS-a,MC-1,ACH-000019,Yes,Yes,4.5,1.25,0\n"
    "1,CDS-b,MC-2,ACH-000019,Yes,No,9,9,9\n"
    "2,CDS-c,MC-3,ACH-000681,Yes,Yes,0,2.5,\n"
    "3,CDS-d,MC-4,ACH-000002,No,No,8,8,8\n"
    "4,CDS-e,MC-5,ACH-000002,Yes,Yes,0.125,3,7\n"
)
MODEL = (
    "ModelID,PatientID,CellLineName,StrippedCellLineName,DepmapModelType,OncotreeLineage,RRID,"
    "CCLEName,SangerModelID,COSMICID\n"
    "ACH-000019,PT-1,MCF7,MCF7,BRCA,Breast,CVCL_0031,MCF7_BREAST,SIDM00148,905946\n"
    "ACH-000681,PT-2,A549,A549,LUAD,Lung,CVCL_0023,A549_LUNG,SIDM00903,905949.0\n"
    "ACH-000002,PT-3,HL-60,HL60,AML,Myeloid,CVCL_0002,HL60_HAEMATOPOIETIC,SIDM00829,\n"
)
GDSC = (
    "GENE_SYMBOLS\tGENE_title\tDATA.905946\tDATA.905949\tDATA.1503362\tDATA.1503362.1\n"
    "TSPAN6\ttetraspanin 6 [Source:HGNC Symbol;Acc:11858]\t7.5\t3\t2\t4\n"
    "\t\t1\t1\t1\t1\n"
    "TP53\ttumor protein p53, or so\t6.25\t5\t1.5\t2.5\n"
)
CELLOSAURUS = """\
----------------------------------------------------------------------------
 Description: Cellosaurus: a knowledge resource on cell lines
 Version: 56.0
____________________________________________________________________________
ID   MCF-7
AC   CVCL_0031
SY   MCF7; Michigan Cancer Foundation-7; ssMCF-7
DR   DepMap; ACH-000019
DR   GDSC; 905946
DR   Cell_Model_Passport; SIDM00148
RX   PubMed=4357757;
CA   Cancer cell line
//
ID   T.T
AC   CVCL_3174
SY   TT; T-T
//
ID   TT
AC   CVCL_1774
AS   CVCL_9999
SY   TT (thyroid)
DR   DepMap; ACH-001321
//
"""
STAR_ROWS = (
    ("N_unmapped", "", "", "5"), ("N_multimapping", "", "", "5"), ("N_noFeature", "", "", "5"),
    ("N_ambiguous", "", "", "5"),
)  # fmt: skip
STAR_HEADER = (
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded"
)


def star(tpm: tuple[float, float, float]) -> str:
    """One sample of the GDC: the model's line, summary rows, versioned ids, a name twice."""
    genes = (
        ("ENSG00000000003.15", "TSPAN6"), ("ENSG00000141510.18", "TP53"),
        ("ENSG00000141510.18_PAR_Y", "TP53"),
    )  # fmt: skip
    lines = ["# gene-model: GENCODE v36", STAR_HEADER]
    lines += ["\t".join([*row, "5", "5", "", "", ""]) for row in STAR_ROWS]
    lines += [
        f"{gene}\t{name}\tprotein_coding\t10\t5\t5\t{value}\t1\t1"
        for (gene, name), value in zip(genes, tpm, strict=True)
    ]
    return "\n".join(lines) + "\n"


def write_star_folder(folder: Path, *, sheet: bool = True) -> Path:
    """A folder as the portal's download tool makes it: one folder a file, and a sample sheet."""
    rows = ["File ID\tFile Name\tData Category\tData Type\tProject ID\tCase ID\tSample ID\t"
            "Sample Type"]  # fmt: skip
    for n, tpm in enumerate([(3.0, 0.0, 1.0), (7.0, 1.0, 0.0)]):
        name = f"f{n}.rna_seq.augmented_star_gene_counts.tsv"
        (folder / f"id-{n}" / "logs").mkdir(parents=True)
        (folder / f"id-{n}" / name).write_text(star(tpm))
        (folder / f"id-{n}" / "logs" / "f.parcel").write_text("log")
        rows.append(f"id-{n}\t{name}\tTranscriptome Profiling\tGene Expression Quantification\t"
                    f"X\tcase-{n}\tsample-{n}\tCell Lines")  # fmt: skip
    (folder / "MANIFEST.txt").write_text("id\tfilename\tmd5\tsize\n0\tf0\tx\t1\n")
    if sheet:
        (folder / "gdc_sample_sheet.2026-01-01.tsv").write_text("\n".join(rows) + "\n")
    return folder


def write_cellminer_xls(path: Path) -> Path:
    """The workbook as downloaded: ten rows of preamble, the header in row 11, footnotes."""
    lines = ["BR:MCF7", "LC:A549/ATCC", "LE:HL-60(TB)", "ME:MDA-N"]
    results: list[list[Cell]] = [
        ["CellMiner Address:", "http://discover.nci.nih.gov/cellminer/"],
        ["Download Normalized Data:", "Protein: Lysate Array a"],
        ["CellMiner Database Version:", "2.0"], ["Human Genome Version:", "HG 19"],
        ["Date:", "03-04-2016"], ["Input data:", "All data"], [], [],
        ["Table 1: Protein: Lysate Array a"], [None, None, None, "Intensity values b"],
        ["Probe id c", "Gene name d", "Start f", *lines],
        ["probe_1", "TP53 /// TP53B", 100.0, 1.5, -2.5, "-", 0.5],
        ["probe_2", "-", 200.0, 1.0, 9.0, "NA", -9.0],
    ]  # fmt: skip
    return write_xls(path, {"Results": results, "Footnotes": [["a Protein: Lysate Array"]]})
