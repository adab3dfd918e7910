"""The network's configuration: plain values, as they stand in YAML files and checkpoints."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from combo_lightning.errors import InputError

Activation = Literal["relu", "silu", "gelu", "elu", "tanh"]
Normalization = Literal["none", "output", "every"]


@dataclass(frozen=True)
class EncoderConfig:
    """An encoder: fully connected layers from an entity's features to its embedding.

    Args:
        widths: Outputs of each layer.
        dropout: Probability that a unit is dropped after each layer.
        activation: Nonlinearity after each layer.
        normalization: LayerNorm before the activation: of no layer, of the last ("output") or of
            every layer.
        id_embedding: Width of a free embedding of the entity's identity, added (through a linear
            map) to the last layer; 0: none. Entities that training never saw have a zero one.
    """

    widths: list[int] = field(default_factory=lambda: [1000, 1000, 1000])
    dropout: float = 0.05
    activation: Activation = "relu"
    normalization: Normalization = "none"
    id_embedding: int = 0


@dataclass(frozen=True)
class HeadConfig:
    """The growth prediction head: fully connected layers from the join to one number.

    Args:
        widths: Outputs of each hidden layer; the first is the width of the join.
        dropout: Probability that a unit is dropped after each hidden layer.
        activation: Nonlinearity after each hidden layer.
    """

    widths: list[int] = field(default_factory=lambda: [1000, 1000, 1000])
    dropout: float = 0.05
    activation: Activation = "relu"


@dataclass(frozen=True)
class NetworkConfig:
    """The Combo network; the defaults are the published one.

    Args:
        cell_encoder: Encoder of the cell lines.
        drug_encoder: Encoder of the drugs, shared by all slots.
        head: What follows the join.
        join: How embeddings meet: "concatenate" (published: each slot has its own weights, the
            order is taken as given), "symmetric" (one weight for all slots: f(A, B) = f(B, A)) or
            "slots" (own weights for each slot, and predictions use the order recorded in
            training, or the mean of all orders).
        drug_drug_rank: Width of a drug x drug product term; 0: none. Not with "concatenate".
        cell_drug_rank: Width of a cell x drug product term; 0: none. Not with "concatenate".
        table_rank: Width of a free table U[drug, line], multiplied with a projection of the
            partner drug; 0: none. Not with "concatenate".
        dropout_mode: "per_sample" draws a dropout mask for each row (published); "per_entity"
            one for each cell line and drug in a batch, which lets the encoders run once an entity.
        study_embedding: Width of a free vector a study, added (through a linear map) to the join;
            0: none. Studies that training never saw have a zero one.
        study_dropout: Probability that a training row counts as of an unknown study, which lets
            the zero vector stand for any.
    """

    cell_encoder: EncoderConfig = field(default_factory=EncoderConfig)
    drug_encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    join: Literal["concatenate", "symmetric", "slots"] = "concatenate"
    drug_drug_rank: int = 0
    cell_drug_rank: int = 0
    table_rank: int = 0
    dropout_mode: Literal["per_sample", "per_entity"] = "per_sample"
    study_embedding: int = 0
    study_dropout: float = 0.2

    def __post_init__(self) -> None:
        for name, part in self._parts():
            if not part.widths or min(part.widths) < 1:
                raise InputError(
                    f"{name}.widths is {part.widths}; give one width or more, each >= 1"
                )
            if not 0 <= part.dropout < 1:
                raise InputError(f"{name}.dropout is {part.dropout}; it must lie in [0, 1)")
        if self.study_embedding < 0:
            raise InputError(f"study_embedding is {self.study_embedding}; it must be 0 or more")
        if not 0 <= self.study_dropout < 1:
            raise InputError(f"study_dropout is {self.study_dropout}; it must lie in [0, 1)")
        ranks = {
            "drug_drug_rank": self.drug_drug_rank,
            "cell_drug_rank": self.cell_drug_rank,
            "table_rank": self.table_rank,
        }
        for name, rank in ranks.items():
            if rank < 0:
                raise InputError(f"{name} is {rank}; it must be 0 or more")
            if rank and self.join == "concatenate":
                raise InputError(
                    f"{name} is {rank}, but join 'concatenate' has no product terms; "
                    "set join to 'symmetric' or 'slots'"
                )

    def _parts(self) -> tuple[tuple[str, EncoderConfig | HeadConfig], ...]:
        return (
            ("cell_encoder", self.cell_encoder),
            ("drug_encoder", self.drug_encoder),
            ("head", self.head),
        )

    def to_plain(self) -> dict[str, Any]:
        """Give the configuration as nested dicts of plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "NetworkConfig":
        """Build the configuration from what `to_plain` gave."""
        values = dict(plain)
        return cls(
            cell_encoder=EncoderConfig(**values.pop("cell_encoder")),
            drug_encoder=EncoderConfig(**values.pop("drug_encoder")),
            head=HeadConfig(**values.pop("head")),
            **values,
        )
