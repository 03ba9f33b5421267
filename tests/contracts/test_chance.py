"""No test's result depends on chance: whatever is random has a seed, which `make nightly` chooses and prints."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = re.compile(
    # Functions on Go's and Python's own generators, generators without a seed, and hashes that differ in each process.
    r"\brand\.(?:Int|Uint|Float|Norm|Exp|Perm|Shuffle|N\()|\bmaphash\.|UnixNano\(\)\)"
    r"|(?<!\.)\brandom\.(?:random|choices?|rand\w+|shuffle|sample|uniform|getrandbits)\(|\bRandom\(\)|\bos\.urandom\("
)


def test_every_random_choice_of_a_test_has_a_seed() -> None:
    tests = [
        *ROOT.glob("tests/**/*.py"),
        *(path for at in ("spoa", "bench", "tests") for path in (ROOT / at).rglob("*_test.go")),
    ]

    unseeded = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(tests)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SHARED.search(line)
    ]

    assert unseeded == []
    assert all(map(SHARED.search, ("rand" + ".IntN(6)", "random" + ".choice(words)")))
