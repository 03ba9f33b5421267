"""Conditions of rules: `if shop is_api or { path_beg /v2 }`, decided as far as a hostname decides them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from guardpanel.services.importing.acls import Expression, Files, Term, expression, size
from guardpanel.services.importing.outcomes import Ledger, Line

PREDEFINED = re.compile(r"METH_[A-Z]+|HTTP_[\w.]+|LOCALHOST|REQ_CONTENT|RDP_COOKIE|WAIT_END")

REST = ""
"Stands for all hostnames that no rule names."

CONSTANTS = {"TRUE": True, "FALSE": False, "HTTP": True, "HTTP_1.1": True}

MOST_ALTERNATIVES = 200

Conjunction = tuple[Term, ...]


@dataclass(frozen=True)
class Condition:
    """Alternatives of terms that must all be so. No term: it is always so. No alternative: never."""

    alternatives: tuple[Conjunction, ...]
    unreadable: str = ""

    @property
    def acl_lines(self) -> tuple[Line, ...]:
        terms = [term for conjunction in self.alternatives for term in conjunction]
        return tuple(dict.fromkeys(line for term in terms for line in term.lines))

    @cached_property
    def hosts(self) -> set[str]:
        """The hostnames that it names."""
        terms = [term for conjunction in self.alternatives for term in conjunction if not term.negated]
        return {name for term in terms for name in term.hosts or ()}

    @cached_property
    def needed_hosts(self) -> set[str] | None:
        """It is never so for other hostnames. None: it may be."""
        needed: set[str] = set()
        for conjunction in self.alternatives:
            names = next((term.hosts for term in conjunction if not term.negated and term.hosts is not None), None)
            if names is None:
                return None
            needed |= names
        return None if self.unreadable else needed

    @cached_property
    def exempt_hosts(self) -> set[str]:
        """The hostnames for which it is not so."""
        terms = [term for conjunction in self.alternatives for term in conjunction if term.negated]
        return {name for term in terms for name in term.hosts or ()}

    @property
    def tells_hosts_apart(self) -> bool:
        return any(term.hosts is not None for conjunction in self.alternatives for term in conjunction)

    @cached_property
    def may_be_decided(self) -> bool:
        """For some hostname, by the hostname alone."""
        return not self.unreadable and any(
            all(term.hosts is not None or term.constant is not None for term in conjunction)
            for conjunction in self.alternatives
        )

    def of_host(self, host: str) -> "Condition":
        """What is left of it for requests with this hostname."""
        left = [_of_host(conjunction, host) for conjunction in self.alternatives]
        known = tuple(conjunction for conjunction in left if conjunction is not None)
        return Condition(((),), "") if () in known and not self.unreadable else replace(self, alternatives=known)

    @property
    def is_always(self) -> bool:
        return not self.unreadable and () in self.alternatives

    @property
    def is_never(self) -> bool:
        return not self.unreadable and not self.alternatives

    @property
    def single(self) -> tuple[Term, ...] | None:
        """The terms, if each alternative is one of them, and none negated."""
        if self.unreadable or any(len(conjunction) != 1 or conjunction[0].negated for conjunction in self.alternatives):
            return None
        return tuple(conjunction[0] for conjunction in self.alternatives)

    @property
    def paths(self) -> tuple[tuple[str, str], ...] | None:
        terms = self.single
        if not terms or any(term.paths is None for term in terms):
            return None
        return tuple(path for term in terms for path in term.paths or ())

    def narrower(self, how: str, path: str) -> str:
        """What a path binding leaves out of it, as a remark. Empty: nothing."""
        terms = (term for conjunction in self.alternatives for term in conjunction)
        if how != "below" or not any(path in term.beginnings for term in terms):
            return ""
        return f" (in HAProxy also for {path[:60]}x and all else that begins with {path[:60]})"

    @property
    def why_not(self) -> str:
        """Why guardpanel can't decide by it."""
        terms = [term for conjunction in self.alternatives for term in conjunction]
        reasons = [self.unreadable, *(term.other for term in terms)]
        return next((reason for reason in reasons if reason), "guardpanel can’t combine these conditions.")


ALWAYS = Condition(((),))


def _of_host(conjunction: Conjunction, host: str) -> Conjunction | None:
    """The terms that the hostname leaves open. None: it is not so."""
    left = []
    for term in conjunction:
        value = term.constant if term.hosts is None else covers(term.hosts, host)
        if value is None:
            left.append(term)
        elif value == term.negated:
            return None
    return tuple(left)


def wildcard_of(host: str) -> str:
    """That covers it, of one label."""
    return f"*.{host.partition('.')[2]}"


def covers(names: Collection[str], host: str) -> bool:
    return host != REST and (host in names or wildcard_of(host) in names)


class Conditions:
    """Of one section: its named ACLs, those of its defaults included."""

    def __init__(self, lines: Sequence[Line], files: Files, ledger: Ledger) -> None:
        self._files, self._ledger = files, ledger
        self._acls: dict[str, list[tuple[Line, Expression]]] = {}
        self._terms: dict[tuple[str, bool], Term] = {}
        for line in lines:
            if line.keyword == "acl" and len(line.words) > 2:
                self._acls.setdefault(line.words[1], []).append((line, self._expression(line.words[2:])))

    def _expression(self, words: Sequence[str]) -> Expression:
        self._ledger.spend(size(words, self._files))
        return expression(words, self._files)

    def read(self, words: Sequence[str]) -> Condition:
        """Of the words of a rule, from `if` or `unless` on. None of these: always."""
        if not words:
            return ALWAYS
        try:
            condition = Condition(tuple(self._alternatives(list(words[1:]))))
        except LookupError as error:
            return Condition((), str(error.args[0]))
        return negated(condition) if words[0] == "unless" else condition

    def _alternatives(self, words: list[str]) -> list[Conjunction]:
        alternatives: list[Conjunction] = [()]
        is_negated = False
        while words:
            word = words.pop(0)
            while word.startswith("!"):
                is_negated, word = not is_negated, word[1:]
            if word in {"or", "OR", "||"}:
                alternatives.append(())
            elif word not in {"", "and", "AND", "&&"}:
                if word == "{":
                    term = replace(self._anonymous(words), negated=is_negated)
                else:
                    term = self._used(word, is_negated=is_negated)
                alternatives[-1] = (*alternatives[-1], term)
                is_negated = False
        return alternatives

    def _anonymous(self, words: list[str]) -> Term:
        if "}" not in words:
            raise LookupError("A brace is not closed.")
        end = words.index("}")
        inside = words[:end]
        del words[: end + 1]
        return Term((self._expression(inside) if inside else Expression(other="A condition is empty."),))

    def _used(self, name: str, *, is_negated: bool) -> Term:
        """The same term for all rules: its hostnames are joined once."""
        if (name, is_negated) not in self._terms:
            self._terms[name, is_negated] = replace(self._named(name), negated=is_negated)
        term = self._terms[name, is_negated]
        self._ledger.spend(len(term.expressions))
        return term

    def _named(self, name: str) -> Term:
        if name in CONSTANTS and name not in self._acls:
            return Term((), named=CONSTANTS[name])
        if name not in self._acls and PREDEFINED.fullmatch(name):
            return Term((Expression(other=f"guardpanel can’t decide by {name}."),))
        if name not in self._acls:
            raise LookupError(f"guardpanel does not know the ACL {name[:60]}.")
        lines, expressions = zip(*self._acls[name], strict=True)
        return Term(expressions, lines)


def negated(condition: Condition) -> Condition:
    """By De Morgan: one term of each alternative is not so."""
    size = 1
    for conjunction in condition.alternatives:
        size *= max(len(conjunction), 1)
    if condition.unreadable or size > MOST_ALTERNATIVES:
        return Condition((), condition.unreadable or "This condition has too many parts.")
    flipped = [[replace(term, negated=not term.negated) for term in each] for each in condition.alternatives]
    return Condition(tuple(product(*flipped)))


def split_rule(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a rule does, and its condition's words."""
    at = next((i for i, word in enumerate(words) if word in {"if", "unless"}), len(words))
    return tuple(words[:at]), tuple(words[at:])
