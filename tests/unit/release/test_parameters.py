"""A release is whole or nothing, and pinned by digest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate import schema
from lockgate.errors import RefusedError
from lockgate.release.parameters import PARAMETERS, Release, read_parameters

RELEASE = {
    **dict.fromkeys(PARAMETERS, "x"),
    "version": "7",
    "image": "repository@sha256:" + "a" * 64,
}


def test_a_release_survives_the_way_through_a_stack() -> None:
    release = Release(**RELEASE)
    assert read_parameters(release.to_parameters()) == release


def test_the_names_of_parameters_are_frozen() -> None:
    """A renamed parameter takes its default at the next deploy, which would delete production."""
    assert sorted(PARAMETERS.values()) == [
        "ReleaseCommit",
        "ReleaseImage",
        "ReleaseModelSha256",
        "ReleaseModelVersionId",
        "ReleasePackageArn",
        "ReleasePolicySha256",
        "ReleaseReplaySha256",
        "ReleaseVerdictId",
        "ReleaseVersion",
    ]


def test_parameters_of_others_are_ignored() -> None:
    parameters = {**Release(**RELEASE).to_parameters(), "BootstrapVersion": "21"}
    assert read_parameters(parameters) == Release(**RELEASE)


@pytest.mark.parametrize(
    "parameters", [{}, dict.fromkeys(PARAMETERS.values(), ""), {"BootstrapVersion": "21"}], ids=len
)
def test_before_any_model_there_is_no_release(parameters: dict[str, str]) -> None:
    assert read_parameters(parameters) is None


@given(st.sets(st.sampled_from(sorted(PARAMETERS)), min_size=1, max_size=len(PARAMETERS) - 1))
def test_some_parameters_without_the_others_are_refused(empty: set[str]) -> None:
    parameters = {PARAMETERS[name]: "" if name in empty else value for name, value in RELEASE.items()}
    with pytest.raises(RefusedError, match="found empty"):
        read_parameters(parameters)


@pytest.mark.parametrize("image", ["repository:latest", "repository", "r@sha256:" + "a" * 63, "r@sha256:" + "A" * 64])
def test_an_image_that_is_not_pinned_by_digest_is_refused(image: str) -> None:
    with pytest.raises(RefusedError, match="expected a URI with a digest"):
        Release(**{**RELEASE, "image": image})


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {}, {**RELEASE, "extra": "x"}, {**RELEASE, "version": 7}, {**RELEASE, "commit": ""}],
    ids=lambda data: str(data)[:20],
)
def test_a_release_in_an_event_has_exactly_the_fields_as_texts(data: Any) -> None:
    with pytest.raises(RefusedError, match=r"^release: "):
        schema.read(Release, data, "release", RefusedError)
    assert schema.read(Release, RELEASE, "release", RefusedError) == Release(**RELEASE)
