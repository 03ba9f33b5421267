"""The steps of a save, while it runs and afterwards."""

from guardpanel.services.saving.progress import Progress, Saves
from guardpanel.views.steps import shown_steps


def is_over(progress: Progress) -> bool:
    return progress.over


def states(progress: Progress) -> list[tuple[str, str]]:
    return [(name, state) for name, state, _ in progress.summary()]


def test_a_swap_is_a_step_in_place_of_a_reload() -> None:
    progress = Progress()
    for step in ("render", "check", "agent", "swap"):
        progress.tell(step)

    assert states(progress) == [("render", "done"), ("check", "done"), ("swap", "now"), ("verify", "waiting")]

    progress.tell("verify")
    assert states(progress)[2:] == [("swap", "done"), ("verify", "now")]


def test_a_swap_that_a_reload_follows_says_why_and_fails_nothing() -> None:
    progress = Progress()
    progress.tell("swap")
    progress.tell("reload", "HAProxy does not use it.")
    assert states(progress)[2] == ("reload", "now")

    progress.tell("verify")
    progress.end()

    assert states(progress)[2:] == [("reload", "done"), ("verify", "done")]
    rows = [(row["state"], row["text"]) for row in shown_steps(progress.steps)]
    assert rows == [
        ("failed", "Not swapped without a reload: HAProxy does not use it."),
        ("done", "Reloaded"),
        ("done", "Verified"),
    ]


def test_a_step_that_failed_stays_so_while_it_is_rolled_back() -> None:
    progress = Progress()
    progress.tell("verify")
    progress.end("It was not verified.")
    progress.tell("roll back")

    assert states(progress)[3] == ("verify", "failed")


def test_a_save_goes_on_with_the_progress_of_reading_its_input() -> None:
    saves = Saves()
    with saves.reading("key") as progress:
        progress.read(5_000, 9_000)
        assert states(progress)[0] == ("read", "now")
        assert saves.begin("key") is progress
        progress.tell("render")
        assert states(progress)[:2] == [("read", "done"), ("render", "now")]
        with saves.reading("key") as twice:  # The form was sent again.
            assert saves.find("key") is progress is not twice
        assert not is_over(progress)

    assert is_over(progress)
    with saves.reading("") as unnamed:
        assert saves.begin("") is not unnamed


def test_input_that_is_read_at_once_is_no_step() -> None:
    saves = Saves()
    with saves.reading("key") as progress:
        pass

    assert progress.over
    assert states(progress)[0] == ("render", "waiting")
    assert saves.begin("key") is not progress
