"""A licence is an SPDX expression in its canonical spelling, or one clear error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from zoo.errors import SpecError
from zoo.specs.experiment import ExperimentSpec
from zoo.specs.license import License, spdx
from zoo.specs.loading import load


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("cc0-1.0", "CC0-1.0"),
        ("mit or (apache-2.0 and bsd-3-clause)", "MIT OR (Apache-2.0 AND BSD-3-Clause)"),
        ("GPL-2.0-or-later with classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        ("licenseref-Our-Lab", "LicenseRef-Our-Lab"),
    ],
)
def test_the_canonical_spelling_is_stored(given: str, spelt: str) -> None:
    assert spdx(given) == spelt
    spec = load("sine-rate", [f"license={given}"])
    assert isinstance(spec, ExperimentSpec)
    assert spec.license == spelt
    assert spec.digest() == load("sine-rate").digest(), "a licence does not change what is trained"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Apache 2", "'Apache-2.0'"),
        ("CC BY 4.0", "'CC-BY-4.0'"),
        ("MIT OR Apache2", "'Apache-2.0'"),
        ("GPL3", "'GPL-3.0'"),
        ("CC0", "'CC0-1.0'"),
    ],
)
def test_another_spelling_is_refused_with_the_nearest(given: str, meant: str) -> None:
    with pytest.raises(SpecError, match=r"license: .* is no SPDX licence") as caught:
        load("sine-rate", [f"license={given!r}"])
    assert "Did you mean" in str(caught.value)
    assert meant in str(caught.value)


@pytest.mark.parametrize(
    "given", ["", "NONE", "NOASSERTION", "MIT and", "(" * 250, "My own licence", "LicenseRef-"]
)
def test_what_is_none_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"Take an identifier of https://spdx\.org/licenses, or call"):
        spdx(given)


@given(st.text(alphabet="mitMIT()+-. ANDORWITHandorwith0123\u0130\u00e9", max_size=60) | st.text(max_size=40))
def test_any_text_is_a_licence_or_an_error_of_one_field(text: str) -> None:
    try:
        found = TypeAdapter(License).validate_python(text)
    except ValidationError as problem:
        places = [error["loc"] for error in problem.errors()]
    else:
        assert spdx(found) == found
        return
    assert places == [()]
