import numpy as np
import pytest

from bench import gate


@pytest.fixture(autouse=True)
def _few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STREAMS", 60)
    monkeypatch.setattr(gate, "COMMITS", 200)


def test_the_author_beats_a_threshold_and_not_ours() -> None:
    assert gate.simulate_peer(gate.at_least_champion, seed=1)["streams"] > 0.9
    for feedback in gate.FEEDBACKS:
        assert gate.simulate_ours(feedback, "policy", seed=2)["streams"] <= 4 / 60


def test_the_author_beats_ours_when_shown_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STREAMS", 12)
    monkeypatch.setattr(gate, "COMMITS", 100)
    monkeypatch.setattr(gate, "DECISIONS", 100)
    assert gate.simulate_ours("every-verdict", "policy", seed=3, numbers_leak=True)["streams"] > 0.5


def test_commits_are_no_better_than_the_champion_on_rows_the_author_knows_nothing_of() -> None:
    random = np.random.default_rng(4)
    author, holdouts = gate.Author(random, 60), gate.Holdouts(random)
    differences, discordant = [], []
    for _ in range(100):
        wins, losses = holdouts.count(author.write())
        author.learn(wins > losses)
        holdouts.renew(np.ones(60, dtype=bool))
        differences.append(wins - losses)
        discordant.append(wins + losses)
    assert abs(np.mean(differences)) < 4 * np.sqrt(np.mean(discordant) / 6000)
    assert 0.03 < np.mean(discordant) / gate.ROWS < 0.07


def test_every_cell_of_the_grid_names_its_condition_and_asks_for_fewer_rows_than_the_peer() -> None:
    entry = gate._rows_entry(0.02, 0.02, 0.99, 32, "first-pass", 0.05)
    assert {key: entry[key] for key in gate.KEYS[:5]} == {
        "condition": "n - o > 0.02 +/- 0.02",
        "reliability": 0.99,
        "steps": 32,
        "feedback": "first-pass",
        "disagreement": 0.05,
    }
    assert entry["ours"] < entry["easeml"] == 43_821
    assert gate.simulated_power(entry, np.random.default_rng(5)) == pytest.approx(0.8, abs=0.05)
