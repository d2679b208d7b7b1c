"""What CONTRIBUTING.md shows works as it is printed there."""

import re
from pathlib import Path

from connectors import mapping
from connectors.declared import from_yaml
from tables_ready import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_connector_of_the_guide_loads_and_reads_its_sample(tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(connector: watchtower.*?)```", TEXT, re.DOTALL)
    sample = re.search(r"`connectors/(samples/watchtower/\S+)`:\n\n```json\n(.*?)```", TEXT, re.DOTALL)
    assert shown
    assert sample
    (tmp_path / sample[1]).parent.mkdir(parents=True)
    (tmp_path / sample[1]).write_text(sample[2], encoding="utf-8")
    file = tmp_path / "catalog" / "watchtower.yaml"
    file.parent.mkdir()
    file.write_text(shown[1], encoding="utf-8")
    connector = from_yaml(file)
    first = connector.samples[0]
    drafts = mapping.read(connector, first.body, first.content_type, {}, {}).drafts
    for name, wanted in first.expect.items():
        assert str(getattr(drafts[0], name)) == wanted


def test_every_file_the_guide_names_is_there() -> None:
    for name in re.findall(r"`((?:[a-z]+/)+[a-z_]+\.(?:py|html|yaml))`", TEXT):
        if name != "web/templates/schedule.html":
            assert (ROOT / name).exists(), name


def test_every_make_target_the_guide_names_is_there() -> None:
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in set(re.findall(r"make ([a-z]+)", TEXT)) - {"it", "sure"}:
        assert f"\n{name}:" in targets, name
