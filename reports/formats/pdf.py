"""The report as PDF, set by Typst from templates of ours; the data never becomes markup."""

import re
import unicodedata
from functools import partial
from pathlib import Path

import msgspec

from reports import printed
from reports.contract import PRINTS, Format
from reports.model import IncidentReport

_TEMPLATES = Path(__file__).parents[1] / "templates"
_NO_GLYPH = re.compile(r'the text `"(?P<text>.+?)"` could not be displayed', re.DOTALL)
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")


def write(report: IncidentReport, of: str = "full") -> bytes:
    """PDF (A4, PDF/A-2a and PDF/UA-1) of one of reports.contract.PRINTS; needs no network and no system library.

    A character that no font here has, such as an emoji, is written as its name: [bell].
    """
    import typst  # here, since only this format pays for loading it

    data = msgspec.json.encode(printed.worded(report)).decode()

    def compiled(data: str) -> bytes:
        made: bytes = typst.compile(
            str(_TEMPLATES / f"{of}.typ"),
            root=str(_TEMPLATES),
            sys_inputs={"data": data},
            timestamp=report.made_at.replace(microsecond=0),  # Typst takes whole seconds only
            pdf_standards=["a-2a", "ua-1"],  # the one keeps for decades, the other can be read aloud
        )
        return made

    try:
        return compiled(data)
    except typst.TypstError as error:
        missing = _missing(error.diagnostic)
        if not missing:
            raise
    return compiled(data.translate({ord(one): _name(one) for one in missing}))


def _missing(diagnostic: str) -> set[str]:
    """The characters that Typst has no glyph for, of all that it names at once."""
    told = (found["text"] for found in _NO_GLYPH.finditer(diagnostic))
    texts = (_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) for text in told)
    return {one for text in texts for one in text if ord(one) > 0x7F}


def _name(character: str) -> str:
    """[bell], or [U+6F22] for what has a long name or none."""
    name = unicodedata.name(character, "").lower()
    return f"[{name}]" if 0 < len(name) <= 24 else f"[U+{ord(character):04X}]"


format = Format(  # noqa: A001 - what the registry looks for
    "pdf", "PDF", "application/pdf", "pdf", write, {of: partial(write, of=of) for of in PRINTS}
)
