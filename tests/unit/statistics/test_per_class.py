import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.metrics import f1_score
from statsmodels.stats.proportion import proportion_confint

from lockgate.statistics import normal, per_class
from lockgate.statistics.per_class import Counts

CLASSES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=6)
ALPHAS = st.sampled_from([0.2, 0.05, 1e-3, 1e-9])


def by_scipy(
    wins: list[int], losses: list[int], rows: list[int], lowest: list[float], highest: float, alpha: float
) -> float:
    """The lower bound of the mean over classes, with the hardest vector of means found by scipy, for one of the shares.

    It minimises the mean over all vectors that are not refuted.
    """
    classes, found = len(rows), sum(lowest) / len(rows)
    n, low = np.array(rows, float), np.array(lowest)
    needed = np.log(4 * classes / ((classes - 1) * alpha))
    for scale in (4, 8, 16, 32):
        share = np.minimum(0.9, scale / np.sqrt((1 / n).sum()) / n)
        spare = float(np.array(wins) @ np.log1p(share) + np.array(losses) @ np.log1p(-share) - needed)
        smallest = optimize.minimize(
            lambda d: d.mean(),
            np.minimum(highest, (np.array(wins) - losses) / n + 0.01),
            jac=lambda d: np.full(classes, 1 / classes),
            bounds=[(each, highest) for each in low],
            constraints={
                "type": "ineq",
                "fun": lambda d, share=share, spare=spare: n @ np.log1p(share * d) - spare,
                "jac": lambda d, share=share: n * share / (1 + share * d),
            },
            method="SLSQP",
            options={"ftol": 1e-9},
        )
        if smallest.success:  # another share decides where it gives up
            found = max(found, float(smallest.x.mean()))
    return found


@pytest.mark.parametrize("alpha", [0.1, 0.01, 1e-6])
@pytest.mark.parametrize(
    ("wins", "losses", "rows"),
    [
        ([30, 60], [10, 50], [400, 900]),
        ([9, 4, 30], [2, 1, 22], [90, 40, 500]),
        ([20, 3, 60, 0, 9], [5, 6, 40, 1, 2], [300, 50, 900, 20, 80]),
    ],
)
def test_a_difference_is_the_smallest_mean_that_scipys_optimizer_finds_not_refuted(
    wins: list[int], losses: list[int], rows: list[int], alpha: float
) -> None:
    each = 2 * alpha / len(rows) ** 2
    lowest = [-proportion_confint(loss, n, each, method="beta")[1] for loss, n in zip(losses, rows, strict=True)]
    found = per_class.balanced_difference(wins, losses, rows, alpha)
    assert found.low == pytest.approx(by_scipy(wins, losses, rows, lowest, 1.0, alpha), abs=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 1e-4])
@pytest.mark.parametrize(
    ("hits", "rows"), [([450, 300], [500, 400]), ([90, 30, 400], [100, 50, 500]), ([9, 70, 80, 90], [12, 90, 90, 90])]
)
def test_balanced_accuracy_is_the_smallest_mean_that_scipys_optimizer_finds_not_refuted(
    hits: list[int], rows: list[int], alpha: float
) -> None:
    each = 2 * alpha / len(rows) ** 2
    lowest = [proportion_confint(hit, n, each, method="beta")[0] - 1 for hit, n in zip(hits, rows, strict=True)]
    misses = [n - hit for hit, n in zip(hits, rows, strict=True)]
    expected = 1 + by_scipy([0] * len(rows), misses, rows, lowest, 0.0, alpha)
    found = per_class.balanced_accuracy(hits, rows, alpha)
    assert found.low == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("recalls", [(0.5, 0.5), (0.95, 0.4), (1.0, 0.9)])
def test_balanced_accuracy_is_wrong_no_more_often_than_stated_for_every_pair_of_counts(
    recalls: tuple[float, float],
) -> None:
    """Coverage exactly, by summing over all counts of two classes."""
    rows, truth, wrong = (25, 8), sum(recalls) / 2, [0.0, 0.0]
    for one in range(rows[0] + 1):
        for other in range(rows[1] + 1):
            chance = stats.binom.pmf(one, rows[0], recalls[0]) * stats.binom.pmf(other, rows[1], recalls[1])
            found = per_class.balanced_accuracy([one, other], rows, 0.1)
            wrong[0] += chance * (found.low > truth + 1e-12)
            wrong[1] += chance * (found.high < truth - 1e-12)
    assert max(wrong) <= 0.1


@pytest.mark.parametrize("lean", [-0.5, 0.0, 0.3])
@pytest.mark.parametrize("rows", [(40, 40, 40), (500, 60, 12)])
def test_a_balanced_difference_is_wrong_no_more_often_than_stated(rows: tuple[int, ...], lean: float) -> None:
    """300 draws at alpha 0.2; the allowance is what 300 draws at exactly 0.2 stay within but for 1 in 10,000."""
    random, disagreement = np.random.default_rng(5), (0.1, 0.3, 0.6)
    truth = sum(lean * each for each in disagreement) / 3
    shares = [[each * (1 + lean) / 2, each * (1 - lean) / 2, 1 - each] for each in disagreement]
    low = high = 0
    for _ in range(300):
        drawn = [random.multinomial(n, share).tolist() for n, share in zip(rows, shares, strict=True)]
        found = per_class.balanced_difference([w for w, _, _ in drawn], [l_ for _, l_, _ in drawn], rows, 0.2)
        low, high = low + (found.low > truth), high + (found.high < truth)
    assert max(low, high) <= stats.binom.isf(1e-4, 300, 0.2)


def test_ten_classes_cost_far_less_than_ten_exact_bounds() -> None:
    found = per_class.balanced_accuracy([850] * 10, [1000] * 10, 0.05)
    normal = 1.645 * np.sqrt(0.85 * 0.15 / 10_000)
    exact = proportion_confint(850, 1000, 2 * 0.05 / 10, method="beta")[0]
    assert 0.85 - found.low < 2 * normal
    assert 0.85 - found.low < (0.85 - exact) / 2.5


@given(CLASSES, ALPHAS)
def test_the_observed_balanced_accuracy_is_inside_and_smaller_errors_are_wider(
    counts: list[tuple[int, int]], alpha: float
) -> None:
    hits, rows = [hit for hit, _ in counts], [hit + miss for hit, miss in counts]
    found, wider = (per_class.balanced_accuracy(hits, rows, level) for level in (alpha, alpha / 10))
    assert wider.low <= found.low + 1e-9
    assert found.high <= wider.high + 1e-9
    if all(rows):
        value = sum(hit / n for hit, n in zip(hits, rows, strict=True)) / len(rows)
        assert 0 <= found.low <= value + 1e-9
        assert value - 1e-9 <= found.high <= 1


@given(CLASSES, ALPHAS)
def test_the_observed_balanced_difference_is_inside_and_sides_mirror(
    counts: list[tuple[int, int]], alpha: float
) -> None:
    wins, losses = [win for win, _ in counts], [loss for _, loss in counts]
    rows = [win + loss + 7 for win, loss in counts]
    found = per_class.balanced_difference(wins, losses, rows, alpha)
    mirrored = per_class.balanced_difference(losses, wins, rows, alpha)
    assert (found.low, found.high) == (-mirrored.high, -mirrored.low)
    value = sum((w - l_) / n for w, l_, n in zip(wins, losses, rows, strict=True)) / len(rows)
    assert -1 <= found.low <= value + 1e-9
    assert value - 1e-9 <= found.high <= 1


def test_a_class_without_rows_may_be_all_wrong_or_all_right() -> None:
    found = per_class.balanced_accuracy([900, 900, 0], [1000, 1000, 0], 0.01)
    assert 0.55 < found.low < 0.6
    assert 0.93 < found.high < 0.95
    nothing = per_class.balanced_difference([0, 0], [0, 0], [0, 0], 0.05)
    assert (nothing.low, nothing.high) == (-1, 1)


@pytest.mark.parametrize(("hits", "rows"), [([3, 5], [2, 9]), ([-1, 5], [2, 9])])
def test_more_hits_than_rows_are_refused(hits: list[int], rows: list[int]) -> None:
    with pytest.raises(ValueError, match="within the rows"):
        per_class.balanced_accuracy(hits, rows, 0.05)


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2"):
        per_class.balanced_accuracy([3], [5], 0.05)


def drawn(random: np.random.Generator, rows: int, classes: int, right: float) -> tuple[np.ndarray, np.ndarray]:
    truth = random.choice(classes, rows, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    return truth, np.where(random.random(rows) < right, truth, random.integers(0, classes, rows))


def counted(truth: np.ndarray, predicted: np.ndarray, classes: int) -> Counts:
    hits = [int(((truth == c) & (predicted == c)).sum()) for c in range(classes)]
    return Counts(hits, [int(((truth == c) | (predicted == c)).sum()) for c in range(classes)])


def influence(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Of each row on macro F1, by the change of scikit-learn's F1 when a little weight moves to that row."""
    weights, change = np.ones(len(truth)), []
    for row in range(len(truth)):
        moved = weights.copy()
        moved[row] += 1e-4 * len(truth)
        shifted, before = (
            f1_score(truth, predicted, labels=range(classes), average="macro", sample_weight=each)
            for each in (moved, weights)
        )
        change.append((shifted - before) / 1e-4)
    return np.array(change)


def test_macro_f1_and_the_influence_of_rows_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    truth, predicted = drawn(random, 60, 3, 0.7)
    counts = counted(truth, predicted, 3)
    assert per_class.f1_value(counts) == pytest.approx(f1_score(truth, predicted, average="macro"))
    of_rows = influences(truth, predicted, 3)
    assert of_rows.sum() == pytest.approx(0, abs=1e-9)
    assert of_rows == pytest.approx(influence(truth, predicted, 3), rel=0.02, abs=0.01)


def influences(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """The formula that lockgate.statistics.per_class.f1_difference states."""
    hits, denominators = (np.array(each) for each in counted(truth, predicted, classes))
    doubled = hits + denominators
    with np.errstate(divide="ignore"):
        weights = np.where(doubled > 0, 1 / doubled, 0.0)
    scores = 2 * hits * weights
    right = 2 * (truth == predicted) * weights[truth]
    return len(truth) / classes * (right - (scores * weights)[truth] - (scores * weights)[predicted])


def test_macro_f1_is_bounded_by_statsmodels_bounds_of_each_class() -> None:
    counts = Counts([40, 5, 300], [60, 12, 320])
    found = per_class.macro_f1(counts, 0.03)
    bounds = np.array([proportion_confint(hit, n, 0.02, method="beta") for hit, n in zip(*counts, strict=True)])
    assert (found.low, found.high) == pytest.approx(tuple((2 * bounds / (1 + bounds)).mean(axis=0)))


@pytest.mark.parametrize("rows", [60, 400])
def test_macro_f1_is_wrong_no_more_often_than_stated(rows: int) -> None:
    """300 draws at alpha 0.2, whose true macro F1 is that of a million rows."""
    random = np.random.default_rng(2)
    truth = per_class.f1_value(counted(*drawn(random, 1_000_000, 3, 0.7), 3))
    found = [per_class.macro_f1(counted(*drawn(random, rows, 3, 0.7), 3), 0.2) for _ in range(300)]
    allowed = stats.binom.isf(1e-4, 300, 0.2)
    assert sum(each.low > truth for each in found) <= allowed
    assert sum(each.high < truth for each in found) <= allowed


def compared(rows: int, differing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    truth, predicted = drawn(random, rows, 3, 0.7)
    return truth, predicted, np.where(random.random(rows) < differing, random.integers(0, 3, rows), predicted)


def difference(truth: np.ndarray, predicted: np.ndarray, before: np.ndarray, alpha: float):
    moved = influences(truth, predicted, 3) - influences(truth, before, 3)
    one, other = counted(truth, predicted, 3), counted(truth, before, 3)
    return per_class.f1_difference(one, other, float((moved**2).sum()), len(truth), alpha), moved


def test_a_difference_of_macro_f1_is_asymptotic_down_to_the_checked_level_and_finite_sample_below() -> None:
    truth, predicted, before = compared(20_000, 0.1)
    value = f1_score(truth, predicted, average="macro") - f1_score(truth, before, average="macro")
    level = normal.SMALLEST_LEVEL
    (checked, moved), (below, _) = (difference(truth, predicted, before, each) for each in (level, level / 1.01))
    assert (checked.guarantee, below.guarantee) == ("asymptotic", "finite-sample")
    assert below.low < checked.low < value < checked.high < below.high
    (normal_one, _), deviation = difference(truth, predicted, before, 0.01), np.sqrt((moved**2).sum()) / 20_000
    theirs = stats.norm.interval(1 - 2 * 0.01, value, deviation)
    assert (normal_one.low, normal_one.high) == pytest.approx(theirs)


def test_a_difference_on_few_rows_has_a_longer_tail_than_the_normal_one() -> None:
    truth, predicted, before = compared(2000, 0.005)
    found, moved = difference(truth, predicted, before, 0.001)
    assert found.guarantee == "asymptotic"
    assert found.high - found.low > 1.5 * 2 * stats.norm.isf(0.001) * np.sqrt((moved**2).sum()) / 2000


def test_no_row_has_a_larger_influence_than_the_counts_allow() -> None:
    truth, predicted, before = compared(300, 0.5)
    one, other = counted(truth, predicted, 3), counted(truth, before, 3)
    largest = per_class._largest_influence(one, other, 300)
    moved = np.abs(influences(truth, predicted, 3) - influences(truth, before, 3)).max()
    assert moved <= largest * (1 + 1e-9)
    assert largest < 2 * moved


def test_models_that_always_agree_leave_both_models_own_bounds_of_macro_f1() -> None:
    counts = Counts([400, 50], [500, 90])
    found = per_class.f1_difference(counts, counts, 0.0, 600, 0.05)
    each = per_class.macro_f1(counts, 0.025)
    assert found == (each.low - each.high, each.high - each.low, "finite-sample")
