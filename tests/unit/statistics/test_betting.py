import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.statistics import betting

COUNTS = st.integers(0, 5000)
SHARES = [0.95, *(0.7 / 2**k for k in range(10))]


def capital(values: list[float], mean: float) -> float:
    """Written row by row, as the paper does, with each bet in terms of what can be lost: an independent way."""
    accounts = [1 / len(SHARES)] * len(SHARES)
    for value in values:
        accounts = [c * (1 + share / mean * (value - mean)) for c, share in zip(accounts, SHARES, strict=True)]
    return sum(accounts)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.floats(-0.9, 0.9))
def test_counts_give_the_capital_of_betting_row_by_row(wins: int, losses: int, ties: int, mean: float) -> None:
    rows = [1.0] * wins + [0.0] * losses + [0.5] * ties
    np.random.default_rng(0).shuffle(rows)
    assert betting.e_value(wins, losses, ties, mean) == pytest.approx(capital(rows, (mean + 1) / 2), rel=1e-6)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.05, 0.95))
def test_rates_are_bet_on_as_zeros_and_ones(successes: int, failures: int, rate: float) -> None:
    expected = capital([1.0] * successes + [0.0] * failures, rate)
    assert betting.rate_e_value(successes, successes + failures, rate) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mean", [-0.02, 0.0, 0.02, 0.3])
@pytest.mark.parametrize("disagreement", [0.3, 0.5, 0.9])
def test_expected_capital_is_at_most_one_where_the_hypothesis_holds(mean: float, disagreement: float) -> None:
    """Exactly, by summing over all outcomes of a few rows."""
    rows, win, loss = 12, (disagreement + mean) / 2, (disagreement - mean) / 2
    from scipy.stats import multinomial

    expected = sum(
        multinomial.pmf([w, l_, rows - w - l_], rows, [win, loss, 1 - win - loss])
        * betting.e_value(w, l_, rows - w - l_, mean)
        for w in range(rows + 1)
        for l_ in range(rows + 1 - w)
    )
    assert expected == pytest.approx(1.0, rel=1e-9)  # exactly 1 at the boundary, and less below it


@pytest.mark.parametrize("alpha", [0.2, 0.05])
def test_looking_after_every_row_is_wrong_no_more_often_than_stated(alpha: float) -> None:
    """Anytime validity: 4,000 streams of 500 rows with true mean 0.02, looked at after each row."""
    random = np.random.default_rng(5)
    values = random.choice([1.0, 0.0, 0.5], p=[0.07, 0.05, 0.88], size=(4000, 500))
    mean = 0.51
    logs = np.array([np.log1p(share * (values / mean - 1)).cumsum(axis=1) for share in SHARES])
    ever = np.exp(logs).mean(axis=0).max(axis=1) >= 1 / alpha
    assert ever.mean() <= alpha


@given(COUNTS, COUNTS, COUNTS, st.sampled_from([0.3, 0.01, 1e-9, 1e-60]))
def test_the_bound_is_where_the_capital_reaches_one_over_alpha(wins: int, losses: int, ties: int, alpha: float) -> None:
    bound = betting.lower_bound(wins, losses, ties, alpha)
    assert -1 <= bound <= 1
    if bound > -1 + 1e-9:
        assert betting.e_value(wins, losses, ties, bound - 1e-9) >= 0.99 / alpha
        assert betting.e_value(wins, losses, ties, bound + 1e-9) <= 1.01 / alpha
    assert betting.lower_bound(wins + 1, losses, ties, alpha) >= bound - 1e-9
    assert betting.lower_bound(wins, losses + 1, ties, alpha) <= bound + 1e-9
    assert betting.lower_bound(wins, losses, ties, alpha / 10) <= bound
    assert betting.upper_bound(losses, wins, ties, alpha) == -bound


def test_no_rows_and_ties_alone_say_little() -> None:
    assert betting.lower_bound(0, 0, 0, 0.05) == -1
    assert betting.lower_bound(0, 0, 1000, 0.05) < 0
    assert betting.e_value(0, 0, 0, 0.3) == 1.0
    assert betting.rate_lower_bound(0, 0, 0.05) == 0.0


def test_an_impossible_hypothesis_is_refuted_by_one_row() -> None:
    assert betting.e_value(1, 0, 0, -1) == float("inf")
    assert betting.e_value(0, 5, 0, -1) == 1.0


def test_an_error_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        betting.lower_bound(1, 1, 1, 0.0)
