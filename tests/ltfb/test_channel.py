"""What every channel must do; each test runs on all of them."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from combo_lightning.ltfb.channel import Channel, ChannelError, checksum, schema, within
from combo_lightning.ltfb.directory import DirectoryChannel
from combo_lightning.ltfb.membership import Beat
from combo_lightning.ltfb.memory import MemoryChannel
from combo_lightning.ltfb.place import GroupPlace

TOKEN = "b" * 32
TIMEOUT = 3.0
Open = Callable[..., Channel]


@pytest.fixture(params=["memory", "directory"])
def open_channel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Channel] = []
    kinds: dict[str, type[Channel]] = {"memory": MemoryChannel, "directory": DirectoryChannel}

    def build(group: int, rank: int = 0, token: str = TOKEN, timeout: float = TIMEOUT) -> Channel:
        place = GroupPlace(group, 4, tmp_path, token)
        opened.append(kinds[request.param](place, rank, timeout))
        return opened[-1]

    yield build
    for channel in opened:
        channel.close()


def beat(*channels: Channel) -> Beat:
    place = channels[0].place
    return Beat(place.token, place.group, addresses=[c.address for c in channels])


def together(*work: Callable[[], Any]) -> list[Any]:
    """Run functions side by side and give what each returned or raised."""
    found: list[Any] = [None] * len(work)

    def run(place: int) -> None:
        try:
            found[place] = work[place]()
        except ChannelError as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def model() -> list[Tensor]:
    draw = torch.Generator().manual_seed(3)
    odd = torch.tensor([float("nan"), float("inf"), -0.0])
    return [
        torch.randn(300, 200, generator=draw),
        torch.tensor(7.0),
        odd,
        torch.randn(5, 3, generator=draw).bfloat16(),
        torch.arange(9),
        torch.empty(0),
        torch.randn(8, 6, generator=draw).t(),
    ]


def bits(tensor: Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist())


def test_a_note_reaches_the_others_and_old_ones_go(open_channel: Open) -> None:
    a, b = open_channel(0), open_channel(1)
    assert b.read(1, beat(a), 0.05) is None
    for round_index in (1, 2, 3):
        a.publish(round_index, f"round {round_index}")
    assert b.read(3, beat(a), 1.0) == "round 3"
    assert b.read(2, beat(a), 1.0) == "round 2"
    assert b.read(1, beat(a), 0.05) is None


def test_a_parcel_arrives_bit_for_bit_with_its_words(open_channel: Open) -> None:
    a, b = open_channel(0), open_channel(1)
    words = {"learning_rate": 1e-3, "names": ["x"]}
    _, (tensors, found) = together(
        lambda: a.send(4, beat(b), model(), words),
        lambda: b.receive(4, beat(a), model()),
    )
    assert found == words
    for mine, theirs in zip(model(), tensors, strict=True):
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        assert bits(mine) == bits(theirs)


def test_parcels_of_equal_ranks_both_ways_and_rounds_do_not_mix(open_channel: Open) -> None:
    ends = [[open_channel(g, r) for r in range(2)] for g in range(2)]
    beats = [beat(*of_group) for of_group in ends]

    def swap(group: int, rank: int, round_index: int) -> float:
        channel, other = ends[group][rank], beats[1 - group]
        mine = [torch.tensor(float(100 * group + 10 * rank + round_index))]
        for turn in (0, 1):
            if turn == group:
                channel.send(round_index, other, mine, {})
            else:
                ((theirs,), _) = channel.receive(round_index, other, mine)
        return float(theirs)

    for round_index in (1, 2):
        turns = [partial(swap, g, r, round_index) for g in (0, 1) for r in (0, 1)]
        found = together(*turns)
        assert found == [100.0 * (1 - g) + 10 * r + round_index for g in (0, 1) for r in (0, 1)]


def test_what_nobody_sends_costs_the_timeout_and_no_more(open_channel: Open) -> None:
    a, b = open_channel(0), open_channel(1, timeout=1.0)
    begun = time.monotonic()
    with pytest.raises(ChannelError):
        b.receive(1, beat(a), model())
    assert time.monotonic() - begun < 8
    # And the next exchange is as good as any.
    _, (tensors, _) = together(
        lambda: a.send(2, beat(b), model(), {}), lambda: b.receive(2, beat(a), model())
    )
    assert bits(tensors[0]) == bits(model()[0])


def test_a_model_of_other_shapes_is_refused(open_channel: Open) -> None:
    a, b = open_channel(0, timeout=2.0), open_channel(1, timeout=2.0)
    other = [torch.zeros(3), torch.zeros(2)]
    _, refused = together(
        lambda: a.send(1, beat(b), [torch.zeros(3), torch.zeros(1, 2)], {}),
        lambda: b.receive(1, beat(a), other),
    )
    assert isinstance(refused, ChannelError)


def test_another_launch_is_not_heard(open_channel: Open) -> None:
    a, stranger = open_channel(0, timeout=1.5), open_channel(1, token="c" * 32, timeout=1.5)
    known = Beat(TOKEN, 1, addresses=[stranger.address])
    _, refused = together(
        lambda: stranger.send(1, beat(a), [torch.ones(2)], {}),
        lambda: a.receive(1, known, [torch.ones(2)]),
    )
    assert isinstance(refused, ChannelError)


def test_a_group_that_is_gone_is_told_from_one_that_is_late(tmp_path: Path) -> None:
    a, b = (MemoryChannel(GroupPlace(g, 2, tmp_path, TOKEN), 0, TIMEOUT) for g in (0, 1))
    there = beat(a)
    a.close()
    begun = time.monotonic()
    with pytest.raises(ChannelError):
        b.read(1, there, 1.0)
    assert time.monotonic() - begun < 8
    b.close()


def test_damage_is_noticed(tmp_path: Path) -> None:
    a, b = (DirectoryChannel(GroupPlace(g, 2, tmp_path, TOKEN), 0, 1.0) for g in (0, 1))
    a.send(1, beat(b), [torch.arange(100.0)], {})
    (path,) = (tmp_path / "channel").glob("*.parcel")
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChannelError, match="checksum"):
        b.receive(1, beat(a), [torch.arange(100.0)])
    path.write_bytes(data[:-8])
    with pytest.raises(ChannelError, match="shorter"):
        b.receive(1, beat(a), [torch.arange(100.0)])
    path.write_bytes(b"no parcel")
    with pytest.raises(ChannelError):
        b.receive(1, beat(a), [torch.arange(100.0)])


def test_the_checksum_tells_places_apart_and_the_schema_shapes() -> None:
    x, y = torch.arange(5.0), torch.arange(7, dtype=torch.int16)
    assert checksum([x, y]) != checksum([y, x])
    assert schema([x]) != schema([x.reshape(5, 1)]) != schema([x.double()])


def test_work_that_hangs_is_given_up() -> None:
    begun = time.monotonic()
    with pytest.raises(ChannelError, match="within"):
        within(0.2, lambda: time.sleep(5))
    assert time.monotonic() - begun < 2
    assert within(5, lambda: 3) == 3
    with pytest.raises(ChannelError, match="ZeroDivisionError"):
        within(5, lambda: 1 / 0)
