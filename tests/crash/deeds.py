"""What an operator saves in a sweep, and what must be there afterwards."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from guardpanel.models.certificates.certificate import CertificateInput, Source
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services import certificates, policies, virtual_hosts
from guardpanel.services.server_states import State
from tests.crash import access_deeds
from tests.crash.outside import GUARDED, STEADY
from tests.crash.world import ADA, Certificate, Deed, Host, Rules, World

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
"When all certificates begin to be valid."


KINDS = (
    "route", "move", "state", "policy", "create", "delete", "bind", "notes", "policy_create", "upload", "swap", "ban", "entries",
    "feed",
)  # fmt: skip
"""Notes and a policy that nobody uses change rows, but not a byte of the engines' configuration. `upload` brings a certificate or
deletes it, which HAProxy is reloaded for; `swap` brings another content for it, which is swapped without a reload. So does `move`
another address of servers, where HAProxy can, and `state` a server out of its virtual host, or back. `ban`, `entries` (of an address list) and `feed` (a download that fills one) change maps of the running HAProxy."""

CHEAP = ("route", "move", "create", "delete")
"Those that bring no new application."

ALWAYS_THERE = ("guard", "sealed", "steady", "guarded", "list", "fed")

SPARE = 4
"Virtual hosts beside the two that are always there."


def choose(kind: str, world: World, seed: int, origin: int) -> Deed:
    """A deed of that kind that is possible in this world; `create` where nothing is there to change. Equal seeds in equal
    worlds choose the same."""
    if kind in ALWAYS_THERE:
        return _always_there(kind, world, origin)
    chance = random.Random(seed)
    spare = sorted(name for name in world.hosts if name not in {STEADY, GUARDED})
    some = [name for name in spare if len(world.hosts[name].weights) > 1]
    if kind == "state" and not some:
        kind = "create"
    if (kind == "delete" and not spare) or (kind in {"route", "move", "bind", "notes"} and not spare):
        kind = "create"
    if kind == "create" and len(spare) >= SPARE:
        kind = "delete"
    name = chance.choice(spare) if spare else ""
    match kind:
        case "route":
            return _update(kind, world, name, _weighted(world.hosts[name], _weights(chance)), origin)
        case "move":
            other = "127.0.0.2" if world.hosts[name].place == "127.0.0.1" else "127.0.0.1"
            return _update(kind, world, name, replace(world.hosts[name], place=other), origin)
        case "state":
            name = chance.choice(some)
            states = [state for state in State if state != world.hosts[name].last]
            return _update(kind, world, name, replace(world.hosts[name], last=chance.choice(states)), origin)
        case "bind":
            others = sorted({*world.policies, None} - {world.hosts[name].policy}, key=str)
            return _update(kind, world, name, replace(world.hosts[name], policy=chance.choice(others)), origin)
        case "notes":
            return _update(kind, world, name, replace(world.hosts[name], notes=f"n{chance.random():.6f}"), origin)
        case "delete":
            return _delete(world, name)
        case "policy":
            return _policy(world, chance)
        case "policy_create":
            return _new_policy(world, chance)
        case "upload" | "swap":
            return _certificate(kind, world, chance)
        case "ban":
            return access_deeds.ban(world, chance)
        case "entries":
            return access_deeds.entries(world, chance)
        case "feed":
            return access_deeds.feed(world, chance)
        case _:
            return _create(world, chance, origin)


def _always_there(kind: str, world: World, origin: int) -> Deed:
    """The first saves of an installation: a policy that blocks, a certificate, the two virtual hosts of the visitors, and two deny lists."""
    if kind in {"list", "fed"}:
        return access_deeds.new_list(world) if kind == "list" else access_deeds.new_feed(world)
    if kind == "sealed":
        return _certificate(kind, world, random.Random(0))
    if kind == "guard":
        fields = {**policies.DEFAULT.model_dump(), "name": "Guard", "enforcement_mode": "block"}
        guard = PolicyFields.model_validate(fields)
        return Deed(kind, kind, world, lambda panel: policies.create(panel.changes, ADA, guard))
    name, policy = (STEADY, "Default") if kind == "steady" else (GUARDED, "Guard")
    host = _fields(Host(0, (name,), policy, (100,), enabled=True, notes=""), world.policies, origin)
    host = host.model_copy(update={"https": True})
    return Deed(kind, kind, world, lambda panel: virtual_hosts.create(panel.changes, ADA, host))


def _weights(chance: random.Random) -> tuple[int, ...]:
    return tuple(chance.randint(1, 256) for _ in range(chance.randint(1, 3)))


def _fields(host: Host, known: dict[str, Rules], origin: int) -> VirtualHostFields:
    return VirtualHostFields.model_validate(
        {
            "hostnames": list(host.names),
            "servers": _servers(host, origin),
            "policy_id": known[host.policy].id if host.policy else None,
            "notes": host.notes,
            "health_check_interval": 60,
        }
    )


def _weighted(host: Host, weights: tuple[int, ...]) -> Host:
    """One that has a single server needs it."""
    return replace(host, weights=weights, last=host.last if len(weights) > 1 else State.READY)


def _servers(host: Host, origin: int) -> list[dict[str, object]]:
    servers: list[dict[str, object]] = [
        {"address": f"{host.place}:{origin}", "weight": weight} for weight in host.weights
    ]
    servers[-1] |= {"draining": host.last == State.DRAINING, "enabled": host.last != State.DISABLED}
    return servers


def _update(kind: str, world: World, name: str, host: Host, origin: int) -> Deed:
    after = replace(world, hosts={**world.hosts, name: host})
    fields = _fields(host, world.policies, origin)
    return Deed(kind, f"{kind} {name}", after, lambda panel: virtual_hosts.update(panel.changes, ADA, host.id, fields))


def _create(world: World, chance: random.Random, origin: int) -> Deed:
    name = f"h{chance.randrange(10**6):06d}.example"
    host = Host(0, (name,), chance.choice(sorted(world.policies)), _weights(chance), enabled=True, notes="")
    fields = _fields(host, world.policies, origin)
    after = replace(world, hosts={**world.hosts, name: host})
    return Deed("create", f"create {name}", after, lambda panel: virtual_hosts.create(panel.changes, ADA, fields))


def _delete(world: World, name: str) -> Deed:
    after = replace(world, hosts={other: host for other, host in world.hosts.items() if other != name})
    gone = world.hosts[name].id
    return Deed("delete", f"delete {name}", after, lambda panel: virtual_hosts.delete(panel.changes, ADA, gone))


def _policy(world: World, chance: random.Random) -> Deed:
    """Another threshold for one of the two that visitors meet: a new application for the agent."""
    name = chance.choice(["Default", "Guard"])
    rules = world.policies[name]
    threshold = chance.choice([at for at in range(2, 6) if at != rules.threshold])
    fields = PolicyFields.model_validate(
        {
            **policies.DEFAULT.model_dump(),
            "name": name,
            "enforcement_mode": rules.mode,
            "inbound_anomaly_threshold": threshold,
        }
    )
    after = replace(world, policies={**world.policies, name: replace(rules, threshold=threshold)})
    return Deed("policy", f"policy {name}", after, lambda panel: policies.update(panel.changes, ADA, rules.id, fields))


def _new_policy(world: World, chance: random.Random) -> Deed:
    """One more that nobody uses yet, or the end of one."""
    used = {host.policy for host in world.hosts.values()}
    spare = sorted(name for name in world.policies if name not in {"Default", "Guard", *used})
    if len(spare) >= 2:
        gone = world.policies[spare[0]].id
        after = replace(world, policies={name: policy for name, policy in world.policies.items() if name != spare[0]})
        return Deed(
            "policy_create", f"delete {spare[0]}", after, lambda panel: policies.delete(panel.changes, ADA, gone)
        )
    name = f"P{chance.randrange(10**6):06d}"
    fields = PolicyFields.model_validate(
        {**policies.DEFAULT.model_dump(), "name": name, "inbound_anomaly_threshold": 5, "enforcement_mode": "block"}
    )
    after = replace(world, policies={**world.policies, name: Rules(0, "block", 5)})
    return Deed("policy_create", f"policy {name}", after, lambda panel: policies.create(panel.changes, ADA, fields))


def _certificate(kind: str, world: World, chance: random.Random) -> Deed:
    """Of the virtual host that is always there."""
    now = world.certificates.get(STEADY)
    if now is not None and kind == "upload":
        gone = now.id
        return Deed(
            kind,
            "delete the certificate",
            replace(world, certificates={}),
            lambda panel: certificates.delete(panel.changes, ADA, gone),
        )
    serial = chance.getrandbits(120) | 1 << 120
    fields = _uploaded(serial)
    after = replace(world, certificates={STEADY: Certificate(0, f"{serial:X}")})
    if now is None:
        return Deed(kind, "upload a certificate", after, lambda panel: certificates.create(panel.changes, ADA, fields))
    number = now.id
    return Deed(
        kind, "swap the certificate", after, lambda panel: certificates.update(panel.changes, ADA, number, fields)
    )


def _uploaded(serial: int) -> CertificateInput:
    """Self-signed. Harness and panel make the same key and number, each with a signature of its own."""
    key, name = ec.derive_private_key(serial, ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, BEGAN, BEGAN + timedelta(days=3650))
    names = x509.SubjectAlternativeName([x509.DNSName(STEADY)])
    leaf = builder.add_extension(names, critical=True).sign(key, hashes.SHA256())
    return CertificateInput(
        name=STEADY,
        source=Source.UPLOAD,
        certificate=leaf.public_bytes(Encoding.PEM).decode(),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        save_anyway=True,
    )
