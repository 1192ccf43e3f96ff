"""The artifact appendix: what it tells, and that no text of a record is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from archbench.reasons import Flag
from archbench.records import Metric, Record
from archbench.report.page.appendix import latex, markdown, sections
from archbench.spec import Spec

EVIL = r"\input{/etc/passwd} $x$ % & <script> it's `x`"


def timed(record: Callable[..., Record], ms: float, half: float, day: int) -> Record:
    spread = {"ci95": [ms - half, ms + half]}
    times = {"latency_ms": Metric(ms, "ms", spread=spread)}
    return record("snet49", "thundernet320", measured=times, day=day)


def test_it_tells_hardware_protocol_tolerances_results_and_commands(
    record: Callable[..., Record],
) -> None:
    text = markdown(sections([record()], "today", "9.9"))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Artifact appendix",
        "## Hardware and versions",
        "## How it was measured",
        "## What counts as agreement",
        "## Results",
        "## Commands",
    ]
    assert "Made today by archbench 9.9 from 1 record of 1 network." in text
    assert "\n- device name: Example GPU\n" in text
    assert "\n- precision: fp32\n" in text
    assert "more than 3% apart" in text
    command = "archbench profile vovnet39 --detector refinedet --size 320x320 --classes 80"
    assert f"```sh\n{command}\n```" in text
    assert "| vovnet |" in text


def test_a_network_at_several_batches_is_one_of_several_configurations(
    record: Callable[..., Record],
) -> None:
    text = markdown(sections([record(batch=batch) for batch in (1, 2)], "today", "9.9"))
    assert "from 2 records of 1 network." in text
    assert "| measured on | configurations | 95 % CI, half-width |" in text


def test_tolerances_are_those_of_the_records(record: Callable[..., Record]) -> None:
    flawed = Metric(50.0, "ms", spread={"ci95": [49, 51]}, flags=(Flag.CI_NOT_MET,))
    once = record("vovnet39", measured={"latency_ms": flawed})
    repeats = [timed(record, ms, 0.1, day) for day, ms in enumerate((20.0, 21.0), 1)]
    text = markdown(sections([once, *repeats], "today", "9.9"))
    row = next(line for line in text.splitlines() if "| 2.0% |" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["2", "2.0%", "2.0%", "1", "4.9%", "4.9%", "1"]


def test_what_was_only_counted_has_commands_and_no_hardware(
    record: Callable[..., Record],
) -> None:
    counted = record(settings=None, measured={}, environment={})
    text = markdown(sections([counted], "today", "9.9"))
    assert "## Hardware" not in text
    assert "95 % CI, half-width" not in text
    assert "--no-measure" in text


def test_no_text_is_taken_for_latex_and_commands_can_be_copied(
    record: Callable[..., Record],
) -> None:
    usual = record()
    evil = replace(
        usual,
        spec=Spec(EVIL, None, 224, 224, 1000),
        environment={**usual.environment, "device_name": EVIL, EVIL: EVIL},
        record_id="other",
    )
    text = latex(sections([evil], "today", "9.9"))
    assert r"\input" not in text
    assert text.count(r"\textbackslash{}input\{/etc/passwd\} \$x\$ \% \& \textless{}script") > 3
    assert r"-{}-size 224x224" in text
    assert r"\textquotesingle{}" in text
    assert r"\textasciigrave{}x" in text
    begun, ended = (text.count(rf"\{word}{{") for word in ("begin", "end"))
    assert begun == ended > 3
    depth = text.replace(r"\{", "").replace(r"\}", "")
    assert depth.count("{") == depth.count("}")


def test_every_line_of_latex_is_one_that_latex_reads(record: Callable[..., Record]) -> None:
    """Of rows as many cells as columns, and no sign that means something but where it is meant."""
    text = latex(sections([record(), timed(record, 20.0, 0.1, 2)], "today", "9.9"))
    columns = 0
    for line in text.splitlines():
        bare = re.sub(r"\\[&%$#_{}]", "", line)
        assert not re.search(r"[%$#_~^]|--", bare), line
        begun = re.fullmatch(r"\\begin{tabular}{([lr]+)}", line)
        columns = len(begun[1]) if begun else 0 if line == r"\end{tabular}" else columns
        is_row = columns and not begun and line != r"\hline"
        assert bare.count("&") == (columns - 1 if is_row else 0), line
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 2
