"""Write every case's files anew (`make cases`), and say what changed."""

import shutil
import subprocess

from tests.rendering.case import CASES, Case, cases, contents


def main() -> None:
    for case in cases():
        write(case)
    (CASES / "README.md").write_text(contents(), "utf-8")
    subprocess.run(["git", "add", "--intent-to-add", CASES], check=True)
    subprocess.run(["git", "--no-pager", "diff", "--stat", "--", CASES], check=True)


def write(case: Case) -> None:
    """A file that is rendered no more goes."""
    for path in case.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "state.yaml":
            path.unlink()
    for name, text in case.rendered().items():
        (case.folder / name).parent.mkdir(exist_ok=True)
        (case.folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
