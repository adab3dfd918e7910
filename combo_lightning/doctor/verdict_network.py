"""What names, addresses, ports and sums between nodes mean."""

from collections.abc import Mapping
from statistics import median, median_low

from combo_lightning.doctor.examination import Examination, Speed
from combo_lightning.doctor.finding import Finding, by_value, listed
from combo_lightning.doctor.names import Reached
from combo_lightning.ports import HIGHEST_PORT, LOWEST_PORT

# A pair this many times slower than the median is worth a look; on shared cores two is chance.
SLOW_TIMES = 4.0
# Seconds that clocks may differ: files that nodes share carry times.
CLOCK_SECONDS = 1.0


def judge_clocks(found: Examination) -> list[Finding]:
    """Judge whether clocks agree."""
    if not found.clocks:
        return []
    # Somebody's own: of two, one is right.
    middle = median_low(ahead for ahead, _ in found.clocks.values())
    return [
        Finding(
            f"the clock of {name} is {abs(ahead - middle):.1f} s "
            f"{'ahead of' if ahead > middle else 'behind'} the others: let NTP set it",
            broken=False,
        )
        for name, (ahead, half) in found.clocks.items()
        if abs(ahead - middle) > CLOCK_SECONDS + half
    ]


def judge_names(found: Examination) -> list[Finding]:
    """Judge which node finds which other by its name, and what each announces of itself."""
    owners = {
        address: name for name in found.places for address in found.own_addresses(name).values()
    }
    # Several nodes with one and the same complaint are one sentence.
    complaints: dict[tuple[str, str], list[str]] = {}
    for one, others in found.reached.items():
        for other, reached in others.items():
            if not found.finds(one, other):
                complaint = _why_not(other, reached, owners)
                complaints.setdefault(complaint, []).append(one)
    sentences = [
        Finding(f"{listed(names)} {what.format(s='' if len(names) > 1 else 's')}: {cure}")
        for (what, cure), names in complaints.items()
    ]
    return [*sentences, *(_judge_own_names(found) if len(found.places) > 1 else ())]


def _why_not(other: str, reached: Reached, owners: Mapping[str, str]) -> tuple[str, str]:
    """Say why a node is not found: the complaint, ``{s}`` its verb's end, and the cure."""
    real = " or ".join(address for address, owner in owners.items() if owner == other)
    mend = f"correct {other} in /etc/hosts or DNS there; it has {real}"
    if not reached.address:
        return f"know{{s}} no address of {other} ({reached.error})", mend
    wrong = {port: who for port, who in reached.doors.items() if who != other}
    strangers = [who for who in wrong.values() if not who.startswith("!")]
    owner = owners.get(reached.address)
    if strangers or (owner != other and len(wrong) == len(reached.doors)):
        who = strangers[0] if strangers else owner or "no node of this job"
        return f"take{{s}} {reached.address} for {other}, but that is {who}", mend
    ports = []
    if any(LOWEST_PORT <= port <= HIGHEST_PORT for port in wrong):
        ports.append(f"ports {LOWEST_PORT} to {HIGHEST_PORT}, where processes meet")
    if any(not LOWEST_PORT <= port <= HIGHEST_PORT for port in wrong):
        ports.append("the ports that the system gives out, where gloo sums")
    why = ", ".join(dict.fromkeys(who[1:] for who in wrong.values()))
    return (
        f"cannot connect to {other} ({reached.address}) on {listed(ports)} ({why})",
        f"let the firewalls between them pass TCP to {other} on all ports from 1024",
    )


def _judge_own_names(found: Examination) -> list[Finding]:
    """Judge what nodes announce of themselves."""
    findings = []
    misled: dict[str, list[str]] = {}
    for name, place in found.places.items():
        if found.announces_well(name):
            continue
        if place.gloo_interface:
            findings.append(
                Finding(
                    f"GLOO_SOCKET_IFNAME is {place.gloo_interface}, but {name} has "
                    f"{listed(sorted(place.addresses))}: set one that all nodes have"
                )
            )
        else:
            misled.setdefault(place.own or "no address", []).append(name)
    findings += [
        Finding(
            f"on {listed(names)} the node's own name is {own}, and gloo announces that to the "
            f"others: export GLOO_SOCKET_IFNAME={_interface(found, names[0])}, or correct "
            "/etc/hosts there"
        )
        for own, names in misled.items()
    ]
    return findings


def _interface(found: Examination, name: str) -> str:
    """Name the interface by which the others find a node."""
    taken = {others[name].address for others in found.reached.values() if name in others}
    outer = found.own_addresses(name)
    return next((i for i, a in outer.items() if a in taken), next(iter(outer), "eth0"))


def judge_sums(found: Examination) -> list[Finding]:
    """Judge rendezvous and all-reduce."""
    findings = [
        Finding(f"{listed(names)} cannot meet the others: {error}")
        for error, names in by_value(
            found.met, lambda met: met if isinstance(met, str) else ""
        ).items()
        if error
    ]
    failed = {
        "-".join(pair): speed for pair, speed in found.pairs.items() if isinstance(speed, str)
    }
    if failed:
        error = next(iter(failed.values()))
        findings.append(
            Finding(
                f"{listed(list(failed))} find each other, but cannot sum over gloo ({error}): set "
                "GLOO_SOCKET_IFNAME to the interface that connects the nodes"
            )
        )
    speeds = {pair: speed for pair, speed in found.pairs.items() if isinstance(speed, Speed)}
    middle = median(speed.large_seconds for speed in speeds.values()) if speeds else 0.0
    findings += [
        Finding(
            f"{listed(pair)} take {speed.large_seconds / middle:.0f} times as long as other pairs "
            "to sum 8 MB: look at their link, and who else uses it",
            broken=False,
        )
        for pair, speed in speeds.items()
        if speed.large_seconds > SLOW_TIMES * middle
    ]
    return findings
