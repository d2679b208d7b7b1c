"""What stands behind an @ in a note is told from addresses and words that merely hold one."""

import pytest

from incidents import mentions


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("@rita and @Raul@example.org, look", ["rita", "raul@example.org"]),
        ("mail to x@rita.example or a/@rita, not a mention", []),
        ("@rita. @rita, (@rita)", ["rita"]),
        ("@@rita @ rita", []),
        (" ".join(f"@n{number}" for number in range(50)), [f"n{number}" for number in range(20)]),
    ],
)
def test_what_stands_behind_an_at(body: str, names: list[str]) -> None:
    assert mentions.names_in(body) == names
